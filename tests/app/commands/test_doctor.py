import sqlite3

import pytest

from tests.app.commands.conftest import ends_with_example


@pytest.mark.slow
def test_a_sound_store_agrees(run):
    out = run("doctor", "--json")
    assert out.code == 0
    assert out.json["agree"] is True
    assert set(out.json["n_chunks"].values()) == {out.json["n_chunks"]["database"]}
    assert out.json["n_chunks"]["database"] > 0


@pytest.mark.slow
def test_a_store_that_disagrees_says_so_what_to_do_and_exits_with_4(run, home, monkeypatch):
    monkeypatch.setattr("app.commands.doctor.SETTLES_WITHIN_S", 0.5)
    assert run("doctor").code == 0
    with sqlite3.connect(home / "var" / "assay.db") as connection:  # behind the back of the generations
        connection.execute("delete from vectors where chunk_id = (select min(chunk_id) from vectors)")
    connection.close()
    out = run("doctor")
    assert out.code == 4
    assert "They disagree. Rebuild the indexes with: assay reindex" in out.out


def test_help_ends_with_an_example(run):
    assert "Example: assay doctor" in run("doctor", "--help").out
    assert ends_with_example(run("doctor", "--help").out, "doctor")
