"""Every figure against a hand-worked case and scikit-learn; intervals against what they promise."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from data.errors import InvalidInput
from data.tabular.model import Costs
from evals.tabular.metrics import METRICS, Ranking, Scored, drawn_values, measure, values_of


def rows(n: int, seed: int = 0, threshold: float = 0.4) -> Scored:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.beta(2, 4, n), 2)  # rounded, so that there are ties
    return Scored((rng.random(n) < scores).astype(np.int8), scores, threshold, Costs(1, 5))


def test_a_case_worked_by_hand():
    scored = Scored(np.array([1, 0, 1, 0]), np.array([0.9, 0.6, 0.4, 0.1]), 0.5, Costs(1, 10))
    found = values_of(scored)
    assert found["accuracy"] == found["precision"] == found["recall"] == found["f1"] == 0.5
    assert found["roc_auc"] == 0.75
    assert found["pr_auc"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert found["cost"] == (1 + 10) / 4
    assert found["calibration_error"] == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)  # four bins of one row each


@pytest.mark.parametrize("seed", range(3))
def test_figures_equal_those_of_scikit_learn(seed):
    scored = rows(400, seed)
    labels, scores, said = scored.labels, scored.scores, scored.decisions
    found = values_of(scored)
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, said),
        "precision": sklearn_metrics.precision_score(labels, said),
        "recall": sklearn_metrics.recall_score(labels, said),
        "f1": sklearn_metrics.f1_score(labels, said),
        "roc_auc": sklearn_metrics.roc_auc_score(labels, scores),
        "pr_auc": sklearn_metrics.average_precision_score(labels, scores),
        "brier": sklearn_metrics.brier_score_loss(labels, scores),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_weighting_rows_is_repeating_them():
    scored, rng = rows(60), np.random.default_rng(1)
    weights = rng.integers(0, 4, 60)
    weighted = Ranking(scored.scores, scored.threshold, scored.costs).values(
        (weights * scored.labels)[None], (weights * (1 - scored.labels))[None]
    )
    repeated = Scored(
        np.repeat(scored.labels, weights), np.repeat(scored.scores, weights), scored.threshold, scored.costs
    )
    found = values_of(repeated)
    for name in set(METRICS) - {"calibration_error"}:  # its bins are those of the rows given
        assert weighted[name][0] == pytest.approx(found[name]), name


def test_what_is_undefined_is_no_number():
    found = values_of(Scored(np.array([0, 0, 0]), np.array([0.1, 0.2, 0.3])))
    assert np.isnan([found["precision"], found["recall"], found["roc_auc"], found["pr_auc"]]).all()
    assert found["accuracy"] == 1


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say():
    scores = np.round(np.random.default_rng(9).beta(2, 4, 20_000), 2)
    truth = values_of(Scored((np.random.default_rng(8).random(20_000) < scores).astype(np.int8), scores, 0.4))
    hits = dict.fromkeys(("roc_auc", "recall", "brier", "calibration_error"), 0)
    for seed in range(40):
        drawn = measure(rows(300, seed + 100), n_resamples=100, seed=seed)
        for name in hits:
            hits[name] += drawn[name].low <= truth[name] <= drawn[name].high
    assert min(hits.values()) >= 33  # of 40 at 95 %; 38 expected


def test_a_calibration_error_starts_at_zero_only_where_luck_explains_it():
    good = rows(400)
    bad = Scored(good.labels, good.scores**3)
    assert measure(good, n_resamples=60)["calibration_error"].low == 0
    assert measure(bad, n_resamples=60)["calibration_error"].low > 0.1


def test_clusters_are_resampled_whole():
    one = rows(150)
    twice = Scored(np.repeat(one.labels, 4), np.repeat(one.scores, 4), clusters=np.repeat(np.arange(150), 4))
    wide = drawn_values(twice, n_resamples=300)["roc_auc"].std()
    narrow = drawn_values(Scored(twice.labels, twice.scores), n_resamples=300)["roc_auc"].std()
    assert 1.6 < wide / narrow < 2.5  # copies tell nothing new: twice the error of rows taken for independent


def test_equal_seeds_give_equal_intervals():
    assert measure(rows(100), n_resamples=50, seed=3) == measure(rows(100), n_resamples=50, seed=3)


@pytest.mark.parametrize(
    ("labels", "scores", "told"),
    [
        ([0, 1], [0.2], "2 labels and 1 scores"),
        ([0, 2], [0.2, 0.4], "not 2"),
        ([0, 1], [0.2, 1.4], "row 1 is 1.4"),
        ([0, 1], [float("nan"), 0.4], "row 0 is nan"),
    ],
)
def test_what_cannot_be_measured_is_refused(labels, scores, told):
    with pytest.raises(InvalidInput, match=told):
        Scored(np.array(labels), np.array(scores))
