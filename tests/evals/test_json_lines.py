import gzip

import pytest

from data.errors import InvalidInput
from evals.json_lines import read_rows


def test_plain_and_gzipped_lines_read_alike_and_blank_ones_are_skipped(tmp_path):
    content = '{"a": 1}\n\n{"a": 2}\n'
    (tmp_path / "x.jsonl").write_text(content)
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(content.encode()))
    assert list(read_rows(tmp_path / "x.jsonl")) == list(read_rows(tmp_path / "x.jsonl.gz")) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("content", "told"),
    [('{"a": 1}\nnope', "line 2 is not JSON"), ("[1]", "line 1 is list"), ('{"b": 1}', "line 1 lacks a; it has b")],
)
def test_a_wrong_line_is_named(tmp_path, content, told):
    (tmp_path / "x.jsonl").write_text(content)
    with pytest.raises(InvalidInput, match=told):
        list(read_rows(tmp_path / "x.jsonl", ("a",)))


def test_a_missing_file_and_a_torn_archive_are_told(tmp_path):
    with pytest.raises(InvalidInput, match="is no file"):
        list(read_rows(tmp_path / "none.jsonl"))
    (tmp_path / "torn.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n' * 50)[:-9])
    with pytest.raises(InvalidInput, match="cannot be read"):
        list(read_rows(tmp_path / "torn.jsonl.gz"))
