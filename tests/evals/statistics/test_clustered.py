import numpy as np
import pytest
from scipy import stats

from data.errors import InvalidInput
from evals.statistics.clustered import clustered_mean


def test_a_hand_worked_case():
    """Two documents: sums of residuals +0.6 and -0.6 about the mean 0.3; variance 2/1 x 0.72 / 16."""
    found = clustered_mean([0.6, 0.6, 0.0, 0.0], ["a", "a", "b", "b"])
    assert found.mean == pytest.approx(0.3)
    assert found.standard_error == pytest.approx((2 * 0.72) ** 0.5 / 4)
    reach = stats.t.ppf(0.975, 1) * found.standard_error
    assert (found.low, found.high) == (pytest.approx(0.3 - reach), pytest.approx(0.3 + reach))
    assert (found.n, found.n_clusters) == (4, 2)


def test_without_shared_clusters_it_is_the_t_interval():
    values = np.random.default_rng(0).normal(size=30)
    found = clustered_mean(values, range(30))
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.standard_error == pytest.approx(stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_samples_that_share_their_luck_widen_the_error_bar():
    """Each value four times in one cluster says no more than once: the error stays that of the single values."""
    values = np.random.default_rng(1).normal(size=20)
    once = clustered_mean(values, range(20))
    four = clustered_mean(np.repeat(values, 4), np.repeat(np.arange(20), 4).tolist())
    blind = clustered_mean(np.repeat(values, 4), range(80))
    assert four.standard_error == pytest.approx(once.standard_error)
    assert blind.standard_error < 0.6 * four.standard_error


def test_the_interval_covers_the_truth_as_often_as_it_says_and_the_blind_one_does_not():
    """400 draws of 12 documents with 5 samples each, half of the variance between documents."""
    rng, n = np.random.default_rng(3), 400
    covered = blind = 0
    clusters = np.repeat(np.arange(12), 5).tolist()
    for _ in range(n):
        values = np.repeat(rng.normal(size=12), 5) + rng.normal(size=60)
        found, naive = clustered_mean(values, clusters), clustered_mean(values, range(60))
        covered += found.low <= 0 <= found.high
        blind += naive.low <= 0 <= naive.high
    assert 0.92 <= covered / n <= 0.98
    assert blind / n < 0.85


def test_one_cluster_tells_nothing_about_spread():
    found = clustered_mean([0.1, 0.3], ["a", "a"])
    assert (found.mean, found.standard_error, found.low) == (pytest.approx(0.2), None, None)
    with pytest.raises(InvalidInput):
        clustered_mean([], [])
