import pytest

from finetune.encoders import embedder
from finetune.launch import Place
from tests.finetune.encoders.conftest import CITIES, PEOPLE, resident, written

pytestmark = pytest.mark.slow  # imports torch
MAIN = Place()


@pytest.fixture
def recipe(recipe_of, tmp_path):
    rows = [
        {"query": f"{city} {city} {person} ?", "positive": resident(person, city), "group": f"{person} {city}"}
        for person in PEOPLE
        for city in CITIES
    ]
    path = written(tmp_path / "pairs.jsonl", rows)
    return recipe_of("embedder", path, "train.max_steps=30", "train.batch_size=16", n_hard_negatives=1)


def test_questions_come_closer_to_their_texts_and_the_forms_agree(recipe):
    prepared = embedder.prepare(recipe)
    trained = embedder.train(recipe, prepared, MAIN, lambda point: None)
    losses = [point["loss"] for point in trained.curve if "loss" in point]
    assert losses[-1] < losses[0]
    assert trained.metrics["mrr_at_10"].value > trained.metrics["mrr_at_10_base"].value
    files = {path.name for path in trained.folder.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "head_config.json"} <= files
    assert str(recipe.base.path) in (trained.folder / "adapter_config.json").read_text()
    report = embedder.check_parity(recipe, prepared, trained, None)
    assert report.is_passed
    assert report.compared == ("base with adapter", "merged", "deltas")


def test_mined_negatives_are_wrong(recipe):
    prepared = embedder.prepare(recipe)
    assert all(e.features["positive"] not in e.features["negatives"] for e in (*prepared.train, *prepared.eval))


def test_training_goes_on_from_another_adapter(recipe):
    prepared = embedder.prepare(recipe)
    first = embedder.train(recipe, prepared, MAIN, lambda point: None)
    lora = recipe.lora.model_copy(update={"start_from": str(first.folder)})
    second = recipe.model_copy(update={"lora": lora, "name": "second"})
    again = embedder.train(second, prepared, MAIN, lambda point: None)
    begins = [next(point["loss"] for point in trained.curve if "loss" in point) for trained in (first, again)]
    assert begins[1] < begins[0]
    assert again.facts["started_from"].startswith("adapter, weights sha256 ")
