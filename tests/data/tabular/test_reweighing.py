import numpy as np
import pytest

from data.errors import InvalidInput
from data.tabular.reweighing import reweighing_weights


def test_weighted_rows_know_nothing_of_the_group():
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b", "c"], 900, p=[0.2, 0.3, 0.5])
    labels = (rng.random(900) < np.where(group == "a", 0.2, 0.6)).astype(int)
    weights = reweighing_weights(labels, group)
    rates = [np.average(labels[group == one], weights=weights[group == one]) for one in "abc"]
    assert rates == pytest.approx([labels.mean()] * 3)
    assert weights.mean() == pytest.approx(1)
    assert weights[group == "b"].sum() == pytest.approx((group == "b").sum())


def test_a_case_worked_by_hand():
    weights = reweighing_weights(np.array([1, 0, 0, 0]), np.array([1, 1, 0, 0]))
    assert weights.tolist() == [0.5, 1.5, 0.75, 0.75]


def test_lengths_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput, match="2 labels and 1 groups"):
        reweighing_weights(np.array([1, 0]), np.array([1]))
