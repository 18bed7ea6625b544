import json
import shutil

import pytest

from tests.app.commands.conftest import ends_with_example


@pytest.mark.slow
def test_reindexing_rebuilds_from_the_database_alone(run, home):
    before = run("search", "parental leave", "--json").json
    shutil.rmtree(home / "var" / "index")
    out = run("reindex")
    assert out.code == 0
    assert "Ready: " in out.err
    assert json.loads((home / "var" / "index" / "current.json").read_text())["dense"]
    assert run("doctor", "--json").json["agree"]
    after = run("search", "parental leave", "--json").json
    assert [hit["chunk"]["id"] for hit in after["hits"]] == [hit["chunk"]["id"] for hit in before["hits"]]


@pytest.mark.slow  # imports torch
def test_a_model_that_is_not_there_is_named_and_changes_nothing(run, tmp_path):
    embedder = run("doctor", "--json").json["embedder"]
    out = run("reindex", "--embedder", tmp_path / "no-model")
    assert out.code in {2, 4}
    assert "no-model" in out.err
    assert "Traceback" not in out.err
    assert run("doctor", "--json").json["embedder"] == embedder


@pytest.mark.slow
def test_changed_chunking_settings_are_told_by_doctor_and_mended_by_reindexing(run, monkeypatch):
    monkeypatch.setenv("ASSAY_INGEST__CHUNKING__MAX_TOKENS", "16")
    monkeypatch.setenv("ASSAY_INGEST__CHUNKING__OVERLAP_TOKENS", "0")
    monkeypatch.setenv("ASSAY_INGEST__CHUNKING__MIN_TOKENS", "0")
    before = run("doctor", "--json").json
    assert before["n_texts_cut_by_other_settings"] == 2
    told = run("doctor")
    assert (told.code, "Cut those texts anew with: assay reindex" in told.out) == (0, True)
    assert run("reindex").code == 0
    after = run("doctor", "--json").json
    assert (after["agree"], after["n_texts_cut_by_other_settings"]) == (True, 0)
    assert after["n_chunks"]["database"] > before["n_chunks"]["database"]
    assert len(run("search", "parental leave", "--json").json["hits"]) > 2


def test_choosing_the_model_that_is_active_embeds_nothing(run):
    out = run("reindex", "--embedder", "default")
    assert out.code == 0
    assert run("doctor", "--json").json["agree"]


def test_help_ends_with_an_example(run):
    assert ends_with_example(run("reindex", "--help").out, "reindex")
