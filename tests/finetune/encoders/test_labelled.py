import json

import numpy as np
import pytest

from finetune.encoders import classifier, grounding
from finetune.encoders.adapted_encoder import load_encoder
from finetune.encoders.batches import logits_of
from finetune.encoders.labelled import Judged, encoded, fair_threshold, item_of, label_metrics
from finetune.launch import Place
from tests.finetune.encoders.conftest import CITIES, PEOPLE, resident, written

pytestmark = pytest.mark.slow  # imports torch
MAIN = Place()


def silent(point):
    pass


def kind_rows():
    texts = [(person, city) for person in PEOPLE for city in CITIES]
    return [
        {
            "text": f"{person} is {('nice', 'idiot')[i % 2]} in {city}",
            "label": ("benign", "toxic")[i % 2],
            "group": city,
        }
        for i, (person, city) in enumerate(texts)
    ]


def pair_rows():
    rows = []
    for i, person in enumerate(PEOPLE):
        for j, city in enumerate(CITIES):
            told = (city, CITIES[(j + 1) % 10])[(i + j) % 2]
            label = ("supported", "unsupported")[(i + j) % 2]
            about = {"premise": resident(person, city), "hypothesis": f"{told} {told} house {i}{j} .", "label": label}
            rows.append(about | {"group": f"{i} {j}"})
    return rows


def test_a_classifier_learns_and_its_folder_answers_as_the_trained_model(recipe_of, tmp_path):
    path = written(tmp_path / "rows.jsonl", kind_rows())
    recipe = recipe_of("classifier", path, labels=["toxic", "benign"])
    prepared = classifier.prepare(recipe)
    trained = classifier.train(recipe, prepared, MAIN, silent)
    losses = [point["loss"] for point in trained.curve if "loss" in point]
    assert losses[-1] < 0.5 * losses[0]
    assert trained.metrics["auroc"].value > 0.95
    assert trained.metrics["balanced_accuracy"].value > 0.9
    config = json.loads((trained.folder / "head_config.json").read_text())
    assert config["labels"] == ["toxic", "benign"]
    assert config["pooling"] == "mean"
    report = classifier.check_parity(recipe, prepared, trained, None)
    assert report.is_passed
    assert report.largest_difference < 1e-4


def test_parity_sees_a_weight_that_was_changed_behind_one_form(recipe_of, tmp_path, monkeypatch):
    recipe = recipe_of(
        "classifier", written(tmp_path / "r.jsonl", kind_rows()), "train.max_steps=8", labels=["toxic", "benign"]
    )
    prepared = classifier.prepare(recipe)
    trained = classifier.train(recipe, prepared, MAIN, silent)
    config = trained.folder / "adapter_config.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"lora_alpha": 16, "use_rslora": True, "alpha_pattern": {}})
    )
    assert classifier.check_parity(recipe, prepared, trained, None).is_passed  # every form reads the same file
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"alpha_pattern": {"query": 160}})
    )  # deltas know no patterns
    report = classifier.check_parity(recipe, prepared, trained, None)
    assert not report.is_passed
    assert report.mismatches[0].between == ("base with adapter", "deltas")


def test_grounding_learns_to_compare_and_measures_a_left_out_source_apart(recipe_of, tmp_path):
    rows = pair_rows()
    data = {
        "train": [
            {"path": str(written(tmp_path / "one.jsonl", rows[:80])), "licence": "CC0-1.0"},
            {"path": str(written(tmp_path / "two.jsonl", rows[80:])), "licence": "none stated"},
        ],
        "leave_out": ["two"],
        "eval_share": 0.2,
    }
    recipe = recipe_of("grounding", tmp_path, "train.max_steps=60", data=data)
    prepared = grounding.prepare(recipe)
    trained = grounding.train(recipe, prepared, MAIN, silent)
    losses = [point["loss"] for point in trained.curve if "loss" in point]
    assert min(losses[-3:]) < losses[0]
    assert trained.metrics["auroc/two"].n == 20
    assert trained.metrics["auroc"].n == trained.metrics["auroc/one"].n
    config = json.loads((trained.folder / "head_config.json").read_text())
    assert config["beside"].keys() == {"constant", "odds", "recall"}
    assert grounding.check_parity(recipe, prepared, trained, None).is_passed


def test_labels_that_are_not_listed_are_dropped(recipe_of, tmp_path):
    path = written(tmp_path / "rows.jsonl", [*kind_rows(), {"text": "a cat", "label": "cat"}])
    prepared = classifier.prepare(recipe_of("classifier", path, labels=["toxic", "benign"]))
    assert [dropped.reason for dropped in prepared.dropped] == ["unknown_label"]


def test_a_folder_read_again_gives_the_same_logits_alone_and_in_a_batch(recipe_of, tmp_path):
    path = written(tmp_path / "rows.jsonl", kind_rows())
    recipe = recipe_of("classifier", path, "train.max_steps=4", labels=["toxic", "benign"])
    prepared = classifier.prepare(recipe)
    folder = classifier.train(recipe, prepared, MAIN, silent).folder
    items = [item_of(example) for example in prepared.eval]
    together = logits_of(load_encoder(recipe.base, folder), items, 16)
    alone = logits_of(load_encoder(recipe.base, folder), items, 1)
    assert max(np.abs(a - b).max() for a, b in zip(together, alone, strict=True)) < 1e-5


@pytest.mark.parametrize("max_length", [8, 9, 12, 40])
def test_two_texts_that_do_not_fit_are_cut_the_longer_first(tokenizer, max_length):
    ids, types, n_uncut = encoded(tokenizer, "anna boris clara david elena felix grete hanno", "oslo lima", max_length)
    assert len(ids) == min(max_length, 13)
    assert n_uncut == 13
    assert len(ids) == len(types)
    assert tokenizer.decode(ids).endswith("oslo lima [SEP]")


def test_one_text_is_cut_at_its_end(tokenizer):
    ids, types, n_uncut = encoded(tokenizer, "anna boris clara david", None, 4)
    assert tokenizer.decode(ids) == "[CLS] anna boris [SEP]"
    assert (types == 0).all()
    assert n_uncut == 6


def test_a_large_source_decides_the_threshold_no_more_than_a_small_one():
    large = [Judged(p, label, "large", False) for p, label in ((0.9, 0), (0.8, 1)) for _ in range(50)]
    small = [Judged(p, label, "small", False) for p, label in ((0.4, 0), (0.4, 0), (0.3, 1))]
    alone = [Judged(0.99, 1, "without the first label", False)] * 500
    assert fair_threshold(small + large[:50] + alone) == pytest.approx((0.4 + 0.3) / 2)
    assert fair_threshold(large + small + alone) == fair_threshold(large[::25] + small)
    assert fair_threshold(alone) == 0.5


def test_the_threshold_parts_the_labels_best():
    judged = [
        Judged(p, label, "s", False)
        for p, label in ((0.9, 0), (0.8, 0), (0.7, 1), (0.6, 0), (0.2, 1), (0.1, 1), (0, 1))
    ]
    assert fair_threshold(judged) == pytest.approx((0.6 + 0.2) / 2)
    metrics = label_metrics(judged, 0.65)
    assert metrics["recall"].value == pytest.approx(2 / 3)
    assert metrics["false_positive_rate"].value == pytest.approx(1 / 4)
    assert metrics["balanced_accuracy"].value == pytest.approx((2 / 3 + 3 / 4) / 2)
