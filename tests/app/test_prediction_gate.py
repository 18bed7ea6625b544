from dataclasses import replace

import numpy as np
import pytest

from app.prediction_gate import Margins, judge_version
from data.errors import InvalidInput
from data.records import Outcome
from data.tabular.contract import checked
from data.tabular.estimators.linear import LinearEstimator
from tests.data.tabular.small_model import small_model
from tests.data.tabular.small_table import loans_frame, loans_spec


@pytest.fixture(scope="module")
def model():
    return replace(small_model(), version="1", digest="ab" * 32)


@pytest.fixture(scope="module")
def frame():
    """Labels that the model knows something of."""
    made = checked(loans_frame(400), loans_spec())
    scores = small_model().scores(made)
    chance = np.random.default_rng(0).random(len(made))
    return made.assign(repaid=chance < np.clip((scores - scores.min()) / (scores.max() - scores.min()), 0.05, 0.95))


def other(model, version: str, factor: float):
    """The same model with all that it learnt times `factor`."""
    native = model.estimator.native
    changed = LinearEstimator(native["coefficients"] * factor, native["intercept"] * factor)
    return replace(model, version=version, estimator=changed, digest=version * 32)


def test_the_same_model_passes_and_the_verdict_names_its_files(model, frame):
    verdict = judge_version(replace(model, version="2"), model, frame)
    assert verdict.outcome is Outcome.PASS
    assert (verdict.name, verdict.version, verdict.digest) == ("tabular:loans", "2", model.digest)
    assert verdict.detail["roc_auc"]["better_by"] == [0.0, 0.0, 0.0]
    assert verdict.detail["n_rows"] == 400


def test_a_worse_model_fails(model, frame):
    verdict = judge_version(other(model, "2", -1.0), model, frame)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.detail["roc_auc"]["better_by"][2] < -0.01


def test_what_too_few_rows_cannot_tell_is_inconclusive(model, frame):
    verdict = judge_version(other(model, "2", 0.7), model, frame.head(60), Margins(roc_auc=0.0, brier=0.001, cost=0.0))
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_without_a_champion_it_must_be_better_than_chance(model, frame):
    assert judge_version(model, None, frame).outcome is Outcome.PASS
    assert judge_version(other(model, "2", -1.0), None, frame).outcome is Outcome.FAIL


def test_too_few_labels_of_a_kind_are_refused(model, frame):
    with pytest.raises(InvalidInput, match="10 of each kind"):
        judge_version(model, None, frame[frame["repaid"]].reset_index(drop=True))
