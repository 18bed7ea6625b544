import json

import pytest

from data.errors import NotFound
from serving.registry import (
    AdapterStore,
    FolderRegistry,
    TamperedAdapter,
    find,
    is_decoder_adapter,
    verified_digest,
)
from tests.serving.adapters import make_adapter, write_manifest


@pytest.fixture
def registry(tmp_path) -> FolderRegistry:
    for version in ("1", "2", "10"):
        make_adapter(tmp_path / "registered" / f"support@{version}", version.encode())
    registry = FolderRegistry(tmp_path / "registered")
    registry.set_alias("support", "challenger", "10")
    return registry


def test_versions_come_in_order_with_their_aliases(registry):
    assert [(a.ref, a.aliases) for a in registry.adapters()] == [
        ("support@1", ()),
        ("support@2", ()),
        ("support@10", ("challenger",)),
    ]


def test_a_version_is_found_by_number_and_by_alias_and_the_error_lists_those_there_are(registry):
    assert find(registry, "support@2").version == "2"
    assert find(registry, "support@challenger").version == "10"
    with pytest.raises(NotFound, match=r"support@10 \(challenger\)"):
        find(registry, "support@3")


def test_the_digest_is_the_one_that_training_wrote(tmp_path):
    manifest = pytest.importorskip("finetune.manifest")
    folder = make_adapter(tmp_path / "a")
    written = manifest.write_manifest(folder, name="a", base={}, data=(), recipe={})
    assert verified_digest(folder) == written


def test_the_digest_names_the_weights_whatever_the_card_says(tmp_path):
    a, b, c = (make_adapter(tmp_path / n, content) for n, content in (("a", b"x"), ("b", b"x"), ("c", b"y")))
    (b / "README.md").write_text("another card")
    write_manifest(b)
    assert verified_digest(a) == verified_digest(b) != verified_digest(c)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: (f / "adapter_model.safetensors").write_bytes(b"WEIGHTS"), "adapter_model.safetensors"),
        (lambda f: (f / "README.md").unlink(), "README.md"),
        (lambda f: (f / "extra.safetensors").write_bytes(b""), "not in the manifest"),
        (lambda f: (f / "manifest.json").unlink(), "is no manifest"),
        (lambda f: (f / "manifest.json").write_text("[]"), "is no manifest"),
        (lambda f: (f / "manifest.json").write_text('{"files": {"../x": "0"}}'), "outside its folder"),
        (lambda f: _edit(f, digest="0" * 64), "says digest"),
    ],
)
def test_files_that_are_not_the_registered_ones_are_refused_by_name(tmp_path, change, told):
    folder = make_adapter(tmp_path / "a")
    change(folder)
    with pytest.raises(TamperedAdapter, match=told):
        verified_digest(folder)


def _edit(folder, **fields) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_copy_is_made_once_and_checked_each_time(tmp_path):
    source, store = make_adapter(tmp_path / "a"), AdapterStore(tmp_path / "store", "/adapters")
    stored = store.put("support@7", source)
    assert stored == store.put("support@7", source)
    assert store.path_at_server(stored) == "/adapters/support@7"
    (stored.folder / "adapter_model.safetensors").write_bytes(b"changed later")
    with pytest.raises(TamperedAdapter):
        store.put("support@7", source)


def test_a_version_never_changes_its_files(tmp_path):
    store = AdapterStore(tmp_path / "store")
    store.put("support@7", make_adapter(tmp_path / "a", b"one"))
    with pytest.raises(TamperedAdapter, match="new version"):
        store.put("support@7", make_adapter(tmp_path / "b", b"two"))


def test_a_name_that_held_other_weights_is_not_used_again(tmp_path):
    store = AdapterStore(tmp_path / "store")
    store.burn("support@7", "it was loaded from elsewhere.")
    with pytest.raises(TamperedAdapter, match="held other weights once"):
        store.put("support@7", make_adapter(tmp_path / "a"))


def test_adapters_of_encoders_are_not_for_a_language_model_server(tmp_path):
    assert is_decoder_adapter(make_adapter(tmp_path / "a"))
    assert not is_decoder_adapter(make_adapter(tmp_path / "b", task="FEATURE_EXTRACTION"))
    assert not is_decoder_adapter(tmp_path)
