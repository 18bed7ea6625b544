import numpy as np
import pytest
from scipy.stats import chi2, norm

from evals.drift.tails import tail_probability, upper_quantile


@pytest.mark.parametrize("law", [norm, chi2(3)])
def test_a_quantile_beyond_the_draws_is_near_the_true_one(law):
    draws = law.rvs(size=4000, random_state=0)
    assert upper_quantile(draws, 1e-4) == pytest.approx(law.ppf(1 - 1e-4), rel=0.15)


def test_where_draws_suffice_the_quantile_is_theirs():
    draws = np.arange(10_000.0)
    assert upper_quantile(draws, 0.05) == pytest.approx(9499.05, abs=1)


def test_equal_draws_have_no_tail():
    assert upper_quantile(np.zeros(1000), 1e-4) == 0


def test_a_p_value_is_never_zero():
    assert tail_probability(np.zeros(99), 1.0) == 0.01
    assert tail_probability(np.ones(99), 1.0) == 1.0
