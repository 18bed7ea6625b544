import json

import pytest

from tests.app.commands.conftest import ends_with_example


def test_listing_pages_through_what_one_may_read(run):
    first = run("documents", "list", "--limit", 1, "--json")
    assert first.code == 0
    second = run("documents", "list", "--limit", 1, "--cursor", first.json["next_cursor"], "--json")
    titles = {page["data"][0]["title"] for page in (first.json, second.json)}
    assert titles == {"Parental leave", "Kitchen"}
    assert second.json["next_cursor"] == ""
    assert run("documents", "list", "--tenant", "other", "--json").json["data"] == []


def test_people_see_a_table_and_how_to_get_the_next_page(run):
    out = run("documents", "list", "--limit", 1)
    assert "Parental leave" in out.out or "Kitchen" in out.out
    assert "More: assay documents list --cursor doc_" in out.out
    assert "Add some with: assay ingest" in run("documents", "list", "--tenant", "other").out


def test_a_title_cannot_style_the_table_or_break_it(run, tmp_path):
    (tmp_path / "odd.md").write_text("# A [bold red]title[/] of [/nothing]\n\nwords")
    assert run("ingest", tmp_path / "odd.md").code == 0
    out = run("documents", "list")
    assert out.code == 0
    assert "[bold red]title[/] of [/nothing]" in out.out


def test_showing_prints_the_text_that_offsets_refer_to(run):
    (document,) = [d for d in run("documents", "list", "--json").json["data"] if d["title"] == "Kitchen"]
    assert "Tea is free in every kitchen." in run("documents", "show", document["id"]).out
    assert run("documents", "show", document["id"], "--json").json["sha256"]


def test_deleting_takes_a_document_out_of_list_and_search(run):
    (document,) = [d for d in run("documents", "list", "--json").json["data"] if d["title"] == "Kitchen"]
    out = run("documents", "delete", document["id"])
    assert out.code == 0
    assert document["id"] in out.out
    assert [d["title"] for d in run("documents", "list", "--json").json["data"]] == ["Parental leave"]
    found = json.dumps(run("search", "tea kitchen", "--json").json)
    assert "Tea is free" not in found
    assert run("doctor", "--json").json["agree"]


@pytest.mark.parametrize("verb", ["show", "delete"])
def test_a_document_that_is_not_there_is_wrong_use(run, verb):
    out = run("documents", verb, "doc_0000000000000000")
    assert out.code == 2
    assert "There is no document" in out.err
    assert "assay documents" in out.err


@pytest.mark.parametrize("verb", ["list", "show", "delete"])
def test_help_ends_with_an_example(run, verb):
    assert ends_with_example(run("documents", verb, "--help").out, f"documents {verb}")
