import json

import pytest

from tests.app.commands.conftest import ends_with_example

pytestmark = pytest.mark.slow  # loads the real encoder


@pytest.fixture
def identity(run) -> str:
    found = run("ask", "How many weeks of parental leave may parents take?", "--json").json
    return found["sentences"][0]["citations"][0]["document_id"]


def test_help_ends_with_an_example(run):
    assert ends_with_example(run("erase", "--help").out, "erase")


def test_every_store_is_listed_and_the_certificate_is_written(run, identity, tmp_path):
    ran = run("erase", identity, "--certificate", tmp_path / "erased.json")
    assert ran.code == 0, ran.err
    assert "FOUND" not in ran.out
    for store in ("database.contents", "index.dense", "index.lexical", "search", "files"):
        assert f"gone   {store}" in ran.out
    assert json.loads((tmp_path / "erased.json").read_text())["document_id"] == identity
    assert "I don't know" in run("ask", "How many weeks of parental leave may parents take?").out


def test_json_is_the_certificate(run, identity, tmp_path):
    ran = run("erase", identity, "--certificate", tmp_path / "erased.json", "--json")
    assert ran.json == json.loads((tmp_path / "erased.json").read_text())


def test_a_trace_that_is_left_exits_with_four(run, identity, home, tmp_path):
    text = run("documents", "show", identity).out
    (home / "var" / "copy.txt").write_text(text)
    ran = run("erase", identity, "--certificate", tmp_path / "erased.json")
    assert ran.code == 4
    assert "FOUND  files" in ran.out


def test_where_the_certificate_cannot_be_written_nothing_is_deleted(run, identity, tmp_path):
    for path in (tmp_path / "missing" / "erased.json", tmp_path):
        ran = run("erase", identity, "--certificate", path)
        assert ran.code == 2
        assert "Nothing was deleted" in ran.err
    assert "twenty-two" in run("ask", "How many weeks of parental leave may parents take?").out


def test_a_document_that_is_not_there_is_wrong_use_and_leaves_no_certificate(run, tmp_path):
    ran = run("erase", "doc_nothing", "--certificate", tmp_path / "erased.json")
    assert ran.code == 2
    assert "doc_nothing" in ran.err
    assert not (tmp_path / "erased.json").exists()
