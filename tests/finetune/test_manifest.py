import pytest

from data.errors import InvalidInput, NotFound
from finetune.manifest import check_manifest, weights_digest, write_manifest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "README.md").write_text("card")
    return tmp_path


def written(folder) -> str:
    return write_manifest(folder, name="a", base={"digest": "b"}, data=(), recipe={"sha256": "c"})


def test_a_folder_as_written_passes(folder):
    written(folder)
    assert set(check_manifest(folder)["files"]) == {"adapter_model.safetensors", "adapter_config.json", "README.md"}


def test_every_difference_is_named(folder):
    written(folder)
    (folder / "adapter_model.safetensors").write_bytes(b"other")
    (folder / "README.md").unlink()
    (folder / "evil.bin").write_bytes(b"")
    with pytest.raises(
        InvalidInput, match=r"evil\.bin is not listed; README\.md is missing; adapter_model\.safetensors was changed"
    ):
        check_manifest(folder)


def test_the_digest_is_the_weights_and_not_the_card(folder):
    before = written(folder)
    (folder / "README.md").write_text("another card")
    assert written(folder) == before
    (folder / "adapter_model.safetensors").write_bytes(b"other")
    assert written(folder) != before


def test_the_digest_does_not_depend_on_the_order_of_the_modules(folder):
    digests = set()
    for modules in ('["key", "dense"]', '["dense", "key"]'):
        (folder / "adapter_config.json").write_text(f'{{"target_modules": {modules}}}')
        digests.add(written(folder))
    assert len(digests) == 1


def test_a_folder_without_a_manifest_is_no_adapter(tmp_path):
    with pytest.raises(NotFound, match=r"finetune\.train wrote"):
        check_manifest(tmp_path)


def test_the_base_digest_covers_weights_and_tokenizer(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"1")
    (tmp_path / "tokenizer.json").write_bytes(b"2")
    before = weights_digest(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    assert weights_digest(tmp_path) == before
    (tmp_path / "tokenizer.json").write_bytes(b"3")
    assert weights_digest(tmp_path) != before
