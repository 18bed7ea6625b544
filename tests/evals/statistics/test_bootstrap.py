import numpy as np
import pytest
from scipy import stats

from data.errors import InvalidInput
from evals.statistics.bootstrap import bootstrap_interval


def test_the_interval_is_scipys_up_to_the_resampling():
    values = np.random.default_rng(0).exponential(size=40)  # skewed, so that BCa and percentile differ
    found = bootstrap_interval(values, statistic=np.mean, n_resamples=4000, seed=1)
    theirs = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=4000, rng=2).confidence_interval
    plain = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=2).confidence_interval
    assert (found.low, found.high) == (pytest.approx(theirs.low, abs=0.02), pytest.approx(theirs.high, abs=0.03))
    assert abs(theirs.high - plain.high) > 0.02


def test_whole_clusters_are_drawn():
    values = np.random.default_rng(1).normal(size=20)
    once = bootstrap_interval(values, n_resamples=1000)
    four = bootstrap_interval(np.repeat(values, 4), np.repeat(np.arange(20), 4).tolist(), n_resamples=1000)
    assert four.high - four.low == pytest.approx(once.high - once.low, rel=0.1)


def test_it_takes_any_statistic_and_the_same_seed_gives_the_same():
    values = np.random.default_rng(2).normal(size=30)
    found = [bootstrap_interval(values, statistic=np.median, n_resamples=300, seed=5) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].low <= np.median(values) <= found[0].high
    assert bootstrap_interval([0.5] * 8).low == 0.5


def test_one_cluster_cannot_be_resampled():
    with pytest.raises(InvalidInput, match="at least two clusters"):
        bootstrap_interval([1.0, 2.0], ["a", "a"])
