import numpy as np
import pandas as pd
import pytest

from data.errors import InvalidInput
from evals.tabular.metrics import Scored
from evals.tabular.performance import changes, early_bias, mean_absolute_error, windows
from tests.evals.tabular.loans import loans, score_of


def scored(one) -> Scored:
    return Scored(one.labels, score_of(one))


def test_a_model_that_got_worse_is_told_metric_by_metric():
    found = {
        one.metric: one for one in changes(scored(loans(2000, 1)), scored(loans(2000, 2, concept=-2)), n_resamples=60)
    }
    assert found["brier"].verdict == "worse"
    assert found["brier"].difference.low > 0  # a greater error
    assert found["accuracy"].verdict == "worse"
    assert found["precision"].difference.value == pytest.approx(found["precision"].period - found["precision"].baseline)


def test_what_did_not_change_is_no_worse_within_the_margin():
    found = changes(scored(loans(4000, 1)), scored(loans(4000, 2)), margin=0.06, n_resamples=60)
    assert {one.verdict for one in found} <= {"no worse", "better", "undecided"}
    assert next(one for one in found if one.metric == "roc_auc").verdict == "no worse"


def test_few_rows_decide_nothing():
    found = changes(scored(loans(2000, 1)), scored(loans(40, 3)), n_resamples=60)
    assert next(one for one in found if one.metric == "roc_auc").verdict == "undecided"


def test_a_period_of_one_class_leaves_ranking_undefined():
    good = loans(200, 2)
    kept = good.labels == 1
    found = changes(scored(loans(500, 1)), scored(good).where(kept), n_resamples=50)
    assert next(one for one in found if one.metric == "roc_auc").verdict == "undefined"


def test_labels_that_come_early_for_high_scores_are_told():
    scores = np.linspace(0, 1, 200)
    assert early_bias(scores, scores > 0.75) < 0.001
    assert early_bias(scores, np.arange(200) % 4 == 0) > 0.05
    assert early_bias(scores, np.arange(200) < 5) == 1  # too few to tell


def test_periods_of_dates_and_of_numbers():
    moments = pd.Series(pd.to_datetime(["2026-01-31", "2026-02-01"]))
    assert windows(moments, "month").tolist() == ["2026-01", "2026-02"]
    assert windows(moments, "quarter").tolist() == ["2026Q1", "2026Q1"]
    assert windows(pd.Series([2015, 2016]), "value").tolist() == ["2015", "2016"]
    with pytest.raises(InvalidInput, match="value for a number"):
        windows(pd.Series([2015]), "month")


def test_the_error_of_estimates_is_absolute():
    assert mean_absolute_error([0.8, 0.9], [0.82, 0.88]) == pytest.approx(0.02)
    assert np.isnan(mean_absolute_error([], []))
