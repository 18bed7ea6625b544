import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

from evals.drift.columns import (
    counted_numbers,
    cramers_v,
    jensen_shannon,
    kolmogorov_smirnov,
    number_binning,
    population_stability,
    shares,
    wasserstein,
    word_binning,
)

HISTOGRAMS = st.lists(st.integers(0, 50), min_size=5, max_size=5).filter(lambda counts: sum(counts) > 0)


def binned(reference, window):
    binning = number_binning(np.asarray(reference, float))
    return binning, *(shares(counted_numbers(np.asarray(side, float), binning)) for side in (reference, window))


def test_effects_are_those_of_scipy_where_each_value_has_its_bin():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 500), rng.integers(2, 9, 300)
    binning, p, q = binned(a, b)
    assert kolmogorov_smirnov(p, q) == pytest.approx(ks_2samp(a, b).statistic)
    assert wasserstein(p, q, binning.centres) == pytest.approx(wasserstein_distance(a, b) / a.std())
    assert np.sqrt(jensen_shannon(p, q)) == pytest.approx(jensenshannon(p, q, 2))


def test_cramers_v_is_chi_squared_without_its_n():
    table = np.array([[30, 50, 20], [50, 30, 20]])
    chi2 = chi2_contingency(table, correction=False).statistic
    assert cramers_v(*shares(table)) == pytest.approx(np.sqrt(chi2 / table.sum()))


def test_psi_by_hand():
    assert population_stability(np.array([0.5, 0.5]), np.array([0.75, 0.25])) == pytest.approx(0.25 * np.log(3))


@given(HISTOGRAMS, HISTOGRAMS)
def test_effects_are_zero_for_equal_shares_symmetric_and_bounded(a, b):
    p, q = shares(np.array(a)), shares(np.array(b))
    for effect in (population_stability, jensen_shannon, kolmogorov_smirnov, cramers_v):
        assert effect(p, p) == pytest.approx(0, abs=1e-12)
        assert effect(p, q) == pytest.approx(effect(q, p))
        assert effect(p, q) >= -1e-12
    assert jensen_shannon(p, q) <= 1 + 1e-9
    assert cramers_v(p, q) <= 1 + 1e-9


def test_missing_numbers_have_no_bin_and_an_empty_column_has_one():
    binning = number_binning(np.array([1.0, 2.0, np.nan]))
    assert counted_numbers(np.array([np.nan, 1.0, 7.0]), binning).tolist() == [1, 1]
    assert number_binning(np.array([np.nan])).n == 1


def test_rare_words_share_the_last_bin():
    binning = word_binning(["a"] * 5 + ["b"] * 3 + ["c"], most=2)
    assert binning.values == ("a", "b")
    assert binning.n == 3
