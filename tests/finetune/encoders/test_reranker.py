import pytest

from finetune.encoders import reranker
from finetune.launch import Place
from tests.finetune.encoders.conftest import CITIES, PEOPLE, written

pytestmark = pytest.mark.slow  # imports torch
MAIN = Place()


def rows():
    """What is nice answers; what is old does not."""
    return [
        {
            "query": f"{city} {person} ?",
            "positive": f"{person} is nice in {city} .",
            "negatives": [f"{person} is old in {other} ." for other in CITIES[:3]],
            "group": f"{person} {city}",
        }
        for person in PEOPLE
        for city in CITIES
    ]


@pytest.fixture
def recipe(recipe_of, tmp_path):
    more = {"n_hard_negatives": 3, "negatives_from": 12}
    return recipe_of("reranker", written(tmp_path / "pairs.jsonl", rows()), "train.max_steps=40", **more)


def test_it_learns_to_put_the_right_text_first_and_its_folder_scores_as_the_trained_model(recipe):
    prepared = reranker.prepare(recipe)
    trained = reranker.train(recipe, prepared, MAIN, lambda point: None)
    losses = [point["loss"] for point in trained.curve if "loss" in point]
    assert min(losses[-3:]) < 0.5 * losses[0]
    assert trained.metrics["first_among_negatives"].value > 0.8  # one in four by chance
    report = reranker.check_parity(recipe, prepared, trained, None)
    assert report.is_passed
    assert report.n_prompts == 3


def test_no_candidate_after_the_first_is_right_and_the_sides_share_no_query(recipe):
    prepared = reranker.prepare(recipe)
    for example in (*prepared.train, *prepared.eval):
        assert example.answer not in example.features["negatives"]
        assert len(example.features["candidates"]) == 4
    assert not {e.key for e in prepared.train} & {e.key for e in prepared.eval}
