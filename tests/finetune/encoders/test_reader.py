"""The reader from rows to a folder that answers."""

import json

import pytest

from finetune.encoders import reader
from finetune.launch import Place
from tests.finetune.encoders.conftest import question_rows, written

pytestmark = pytest.mark.slow  # imports torch
MAIN = Place()


@pytest.fixture
def recipe(recipe_of, tmp_path):
    return recipe_of("reader", written(tmp_path / "questions.jsonl", question_rows()))


def silent(point):
    pass


def test_no_article_is_on_both_sides_and_each_held_out_question_has_a_wrong_paragraph(recipe):
    prepared = reader.prepare(recipe)
    sides = [{e.features["group"] for e in side} for side in (prepared.train, prepared.eval)]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]
    contexts = [{e.features["context"] for e in side} for side in (prepared.train, prepared.eval)]
    assert not contexts[0] & contexts[1]
    assert any(e.features["made"] == "retrieved" for e in prepared.eval)


def test_the_loss_falls_and_the_saved_folder_answers_as_the_trained_model(recipe):
    prepared = reader.prepare(recipe)
    trained = reader.train(recipe, prepared, MAIN, silent)
    losses = [point["loss"] for point in trained.curve if "loss" in point]
    assert losses[-1] < 0.7 * losses[0]
    assert trained.metrics["f1_answerable"].value > 0.5
    files = {path.name for path in trained.folder.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "head.safetensors", "head_config.json"} <= files
    config = json.loads((trained.folder / "head_config.json").read_text())
    assert config["threshold"] == pytest.approx(trained.facts["threshold"], abs=1e-4)
    report = reader.check_parity(recipe, prepared, trained, None)
    assert report.is_passed
    assert report.largest_difference < 1e-4
    assert report.compared == ("base with adapter", "merged", "deltas")
