import pytest

from tests.app.commands.conftest import ends_with_example

pytestmark = pytest.mark.slow  # loads the real encoder


def test_help_ends_with_an_example(run):
    assert ends_with_example(run("search", "--help").out, "search")


@pytest.mark.parametrize("mode", ["lexical", "dense", "hybrid"])
def test_chunks_are_shown_with_the_score_of_each_stage(run, mode):
    out = run("search", "parental leave", "--mode", mode, "--k", 1).out
    assert "Parental leave" in out.splitlines()[0]
    for stage in ("lexical", "dense"):
        assert (f"{stage} #1" in out) is (mode in (stage, "hybrid"))


def test_json_is_the_whole_result(run):
    found = run("search", "tea in the kitchen", "--json").json
    assert found["hits"][0]["chunk"]["text"].startswith("# Kitchen")
    assert found["snapshot_id"]


def test_what_may_not_be_read_is_not_found(run):
    ran = run("search", "tea", "--tenant", "rival")
    assert ran.code == 0
    assert "Nothing found that you may read" in ran.out


def test_filters_narrow_and_malformed_ones_are_wrong_use(run):
    assert run("search", "tea", "--filter", "title=Kitchen", "--json").json["hits"]
    assert run("search", "tea", "--filter", "title=Other", "--json").json["hits"] == []
    ran = run("search", "tea", "--filter", "nonsense")
    assert ran.code == 2
    assert "not field=value" in ran.err
