import io
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from data.tabular.model import Measured
from data.tabular.model_files import load_model, save_model
from finetune.tabular.card import card_text
from finetune.tabular.pictures import curves, pictures, reliability
from finetune.tabular.train import Options, Outcome, best, findings_of, finish, prepare, train_candidate
from tests.finetune.tabular.small_run import small_config, small_frame

pytestmark = pytest.mark.slow


def evaluate(outcome: Outcome) -> dict[str, Measured]:
    value = float(roc_auc_score(outcome.labels, outcome.scores))
    return {"roc_auc": Measured(value, value - 0.05, value + 0.05), "precision": Measured(float("nan"), 0.0, 1.0)}


def trained(**changes):
    loaded = small_config(**changes)
    rows = prepare(loaded, small_frame())
    options = Options(evaluate, "sqlite://")
    candidates = [train_candidate(rows, model, options) for model in loaded.config.models]
    return finish(rows, best(rows, candidates), candidates, findings_of(rows), options)


@pytest.fixture(scope="module")
def run():
    models = [
        {"kind": "logistic_regression", "params": {"C": 0.05}},
        {"kind": "random_forest", "params": {"n_estimators": 30, "max_depth": 5}},
        {"kind": "xgboost", "params": {"max_depth": 2, "eta": 0.3}, "early_stopping": 10},
    ]
    return trained(models=models)


def test_the_best_in_the_folds_is_kept(run):
    assert len(run.candidates) == 3
    assert run.candidate.values["pr_auc"] == max(one.values["pr_auc"] for one in run.candidates)
    assert run.model.kind == run.candidate.config.kind


def test_the_baseline_is_of_the_held_out_rows_as_the_model_scores_them(run):
    held = run.rows.frame.iloc[run.rows.split.test]
    assert run.model.scores(held).tobytes() == run.outcome.scores.tobytes()
    assert run.model.baseline["roc_auc"].value == roc_auc_score(
        run.rows.labels[run.rows.split.test], run.outcome.scores
    )
    assert run.model.baseline["roc_auc"].value > 0.6


def test_it_learns_nothing_from_held_out_rows():
    first = trained()
    rows = first.rows
    frame = rows.frame.copy()
    held = rows.split.test
    frame.loc[frame.index[held], "claim_amount"] = 777.0
    frame.loc[frame.index[held], "fraud"] = ~frame["fraud"].iloc[held].to_numpy()
    loaded = small_config()
    again = prepare(loaded, frame)
    options = Options(evaluate, "sqlite://")
    candidate = train_candidate(again, loaded.config.models[0], options)
    model = finish(again, candidate, [candidate], [], options).model
    assert model.estimator.to_bytes() == first.model.estimator.to_bytes()
    assert (model.threshold, model.calibration, model.features.digest) == (
        first.model.threshold,
        first.model.calibration,
        first.model.features.digest,
    )


def test_equal_runs_give_equal_bytes():
    first, again = trained(), trained()
    assert first.model.estimator.to_bytes() == again.model.estimator.to_bytes()
    assert first.model.provenance["data_sha256"] == again.model.provenance["data_sha256"]


def test_balanced_classes_are_calibrated_back(run):
    found = trained(balance="balanced", split={"by": "random", "folds": 3})
    assert found.outcome.scores.mean() == pytest.approx(found.outcome.labels.mean(), rel=0.25)
    raw = found.model.estimator.raw_scores(found.model.matrix(found.rows.frame))
    assert raw.mean() > 2 * found.outcome.labels.mean()


def test_the_reference_names_nobody_and_is_of_held_out_rows(run):
    names = set(run.model.reference.columns)
    assert "fraud" in names
    assert "sex" in names
    assert "claim_id" not in names
    policies = set(run.model.reference["policy_id"])
    assert not policies & set(run.rows.frame["policy_id"])  # numbered anew, so that rows of one are still known as such
    assert 1 < len(policies) < len(run.model.reference)
    held = set(run.rows.frame["claim_amount"].iloc[run.rows.split.test])
    assert set(run.model.reference["claim_amount"]) <= held


def test_provenance_says_what_the_model_came_from(run):
    facts = run.model.provenance
    assert facts["rows"]["training"] == len(run.rows.split.development)
    assert facts["left_out"] == run.rows.split.left_out
    assert facts["config"]["name"] == "small"
    assert {"python", "numpy", "xgboost-cpu"} <= set(facts["versions"])
    assert len(facts["data_sha256"]) == 64


def test_it_is_saved_and_loaded_as_it_is(run, tmp_path):
    model = replace(run.model, version="1")
    save_model(model, tmp_path / "small@1", extra={"README.md": card_text(run, "1").encode()})
    again = load_model(tmp_path / "small@1")
    assert again.scores(small_frame()).tobytes() == run.model.scores(small_frame()).tobytes()


def test_the_card_tells_figures_data_and_limits_under_a_header_that_reads(run):
    text = card_text(run, "7", {"Fairness": "Measured elsewhere."})
    header = yaml.safe_load(text.split("---")[1])
    assert header["model-index"][0]["results"][0]["metrics"] == [
        {"type": "roc_auc", "name": "roc_auc", "value": round(run.model.baseline["roc_auc"].value, 4)}
    ]
    for part in (
        "# small 7",
        "| precision | undefined | 0.0000 | 1.0000 |",
        "Measured elsewhere.",
        "rows left out: label not yet known",
        run.model.provenance["data_sha256"],
        "made by a generator",
        "Set card.intended_use in the config",
    ):
        assert part in text


def test_pictures_are_pictures(run):
    found = pictures(run)
    assert {"roc.png", "precision_recall.png", "calibration.png", "scores.png", "cost.png"} <= set(found)
    assert ("learning.png" in found) == (run.model.kind == "xgboost")
    for name, content in found.items():
        assert matplotlib.image.imread(io.BytesIO(content)).std() > 0.02, name


def test_the_numbers_behind_the_pictures_are_the_outcomes(run):
    predicted, seen, sizes = reliability(run.outcome)
    assert np.average(seen, weights=sizes) == pytest.approx(run.outcome.labels.mean())
    assert np.average(predicted, weights=sizes) == pytest.approx(run.outcome.scores.mean())
    told = curves(run.outcome)
    assert told["true_positive_rate"][0] == 0
    assert told["true_positive_rate"][-1] == 1
    assert max(map(len, told.values())) <= 200
