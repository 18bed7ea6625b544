import gzip

import pytest

from data.errors import InvalidInput
from evals.dataset import load_samples, samples_digest
from evals.suite import DatasetSpec

LINES = """
{"id": "a", "question": "How?", "metadata": {"kind": "table"}}
{"id": "b", "question": "Why?", "metadata": {"kind": "single"}}
{"id": "c", "question": "When?", "answerable": false, "metadata": {"kind": "table"}}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text(LINES, "utf-8")
    return path


def ids(path, **spec):
    return [s.id for s in load_samples(DatasetSpec(path=path, **spec))]


def test_plain_and_gzipped_files_give_the_same_samples(file, tmp_path):
    zipped = tmp_path / "s.jsonl.gz"
    zipped.write_bytes(gzip.compress(LINES.encode()))
    assert ids(file) == ids(zipped) == ["a", "b", "c"]


def test_samples_are_chosen_by_metadata_and_number(file):
    assert ids(file, where={"kind": ["table"]}) == ["a", "c"]
    assert ids(file, where={"kind": ["table"]}, limit=1) == ["a"]
    with pytest.raises(InvalidInput, match="3 samples, and none"):
        ids(file, where={"kind": ["poem"]})


def test_every_wrong_line_is_named(file):
    file.write_text(LINES + '{"id": "d"}\nnot json\n{"id": "a", "question": "again?"}\n', "utf-8")
    with pytest.raises(InvalidInput) as told:
        ids(file)
    for part in ("3 wrong lines", "line 5: question", "line 6", "line 7: the id 'a'"):
        assert part in str(told.value)


@pytest.mark.parametrize("content", [b"\x1f\x8bbroken", b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / ("s.jsonl.gz" if content[0] == 0x1F else "s.jsonl")
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="cannot be read"):
        ids(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        ids(tmp_path / "absent.jsonl")


def test_the_digest_is_of_content_and_order(file):
    samples = load_samples(DatasetSpec(path=file))
    changed = [samples[0].model_copy(update={"answer": "so"}), *samples[1:]]
    assert samples_digest(samples) == samples_digest(list(samples))
    assert len({samples_digest(x) for x in (samples, changed, samples[::-1])}) == 3
