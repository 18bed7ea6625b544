import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from data.tabular.calibration import logit
from finetune.tabular.calibration import ENOUGH_FOR_ISOTONIC, fit_calibration
from finetune.tabular.config import CalibrationConfig

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
TRUE = RNG.beta(1, 4, 20_000)
LABELS = (RNG.random(20_000) < TRUE).astype(int)
RAW = 1 / (1 + np.exp(-(2 * logit(TRUE) + 1.5)))  # too sure, and too high


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_distorted_scores_become_probabilities_again(kind):
    found = fit_calibration(RAW[:10_000], LABELS[:10_000], CalibrationConfig(kind=kind)).apply(RAW[10_000:])
    labels = LABELS[10_000:]
    best = brier_score_loss(labels, TRUE[10_000:])
    assert brier_score_loss(labels, RAW[10_000:]) > best + 0.015
    assert brier_score_loss(labels, found) < best + 0.002
    assert abs(found.mean() - labels.mean()) < 0.01


def test_platt_finds_the_distortion():
    found = fit_calibration(RAW, LABELS, CalibrationConfig(kind="platt"))
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.intercept == pytest.approx(-0.75, abs=0.06)


def test_isotonic_keeps_the_order_well_enough():
    found = fit_calibration(RAW[:10_000], LABELS[:10_000], CalibrationConfig(kind="isotonic")).apply(RAW[10_000:])
    assert roc_auc_score(LABELS[10_000:], found) > roc_auc_score(LABELS[10_000:], RAW[10_000:]) - 0.002
    assert np.all(np.diff(found[np.argsort(RAW[10_000:])]) >= 0)


def test_isotonic_is_never_quite_sure():
    found = fit_calibration(
        np.linspace(0, 1, 2000), (np.arange(2000) >= 1000).astype(int), CalibrationConfig(kind="isotonic")
    )
    low, high = found.apply(np.array([0.0, 1.0]))
    assert 0 < low < 0.001
    assert 0.999 < high < 1


def test_auto_takes_platt_for_few_positives():
    assert fit_calibration(RAW, LABELS, CalibrationConfig()).kind == "isotonic"
    few = np.flatnonzero(LABELS == 1)[: ENOUGH_FOR_ISOTONIC - 1]
    rows = np.concatenate([few, np.flatnonzero(LABELS == 0)])
    assert fit_calibration(RAW[rows], LABELS[rows], CalibrationConfig()).kind == "platt"


def test_scores_that_point_the_wrong_way_are_left_alone():
    assert fit_calibration(1 - RAW, LABELS, CalibrationConfig(kind="platt")).kind == "none"
