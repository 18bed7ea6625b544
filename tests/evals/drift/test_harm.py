from datetime import UTC, datetime

import numpy as np
import pytest

from evals.drift.harm import column_weights, performance, table_causes, table_harm, true_loss
from evals.drift.tabular import TableBaseline
from tests.evals.drift.tabled import SPEC, people, watch

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def baseline():
    return TableBaseline(watch(), SPEC, people(6000, 0))


def test_weighted_auc_is_that_of_repeated_rows():
    rng = np.random.default_rng(0)
    labels, scores, weights = rng.integers(0, 2, 60), rng.integers(0, 8, 60) / 8, rng.integers(1, 4, 60)
    repeated = performance(np.repeat(labels, weights), np.repeat(scores, weights), 0.5, "roc_auc")
    assert performance(labels, scores, 0.5, "roc_auc", weights.astype(float)) == pytest.approx(repeated)
    wins = [(a > b) + (a == b) / 2 for a in scores[labels == 1] for b in scores[labels == 0]]
    assert performance(labels, scores, 0.5, "roc_auc") == pytest.approx(np.mean(wins))


def test_weights_make_the_reference_look_like_the_window(baseline):
    window = people(3000, 1, older=0.5)
    age = next(column for column in baseline.columns if column.name == "age")
    weights = column_weights(age, baseline.reference, window)
    assert weights.mean() == pytest.approx(1)
    old = baseline.reference["age"].to_numpy() > 60
    assert np.average(old, weights=weights) == pytest.approx((window["age"] > 60).mean(), abs=0.02)


@pytest.mark.slow
def test_the_column_that_costs_accuracy_is_told_before_one_that_moved_more(baseline):
    window = people(4000, 2, older=0.4, hours=6)
    harm = table_harm(baseline, window)
    lost = true_loss(baseline, window)
    assert harm.unit == "accuracy"
    assert lost > 0.1
    assert harm.total == pytest.approx(lost, abs=0.03)
    assert harm.low < lost < harm.high
    assert harm.by_column["age"] == pytest.approx(lost, abs=0.03)
    assert abs(harm.by_column["hours"]) < 0.02
    values = baseline.compare(window, NOW)
    by_name = {value.monitor: value for value in values}
    assert by_name["column.hours"].value > by_name["column.age"].value
    columns = [c.monitor for c in table_causes(baseline, window, values, harm) if c.monitor.startswith("column.")]
    assert columns[0] == "column.age"
    assert columns[-1] == "column.hours"


def test_without_scores_causes_have_no_harm_and_are_told_all_the_same():
    bare = TableBaseline(watch(score=""), SPEC, people(3000, 0))
    window = people(1000, 3, hours=5, new_job=0.1, missing=0.2)
    harm = table_harm(bare, window)
    assert harm.total is None
    causes = {cause.monitor: cause for cause in table_causes(bare, window, bare.compare(window, NOW), harm)}
    assert causes["new.job"].examples == ("pilot",)
    assert "20" in causes["missing.age"].told
    assert causes["column.hours"].harm is None
    assert causes["column.hours"].slice.startswith("hours: ")
