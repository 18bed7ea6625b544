import pytest

from evals.intervals import upper_bound, wilson


def test_no_success_in_n_tries_is_bounded_by_the_rule_of_three_made_exact():
    assert upper_bound(0, 10) == pytest.approx(1 - 0.05**0.1, abs=1e-9)
    assert upper_bound(0, 300) == pytest.approx(3 / 300, rel=0.01)


def test_the_exact_bound_is_the_one_of_the_tables():
    assert upper_bound(1, 10) == pytest.approx(0.3942, abs=1e-4)  # Clopper-Pearson, one-sided 95 %
    assert upper_bound(5, 20) == pytest.approx(0.4556, abs=1e-4)
    assert upper_bound(10, 10) == 1.0


def test_the_exact_bound_agrees_with_the_beta_quantile():
    beta = pytest.importorskip("scipy.stats").beta
    for hits, n in [(0, 7), (3, 40), (39, 40), (120, 1000)]:
        assert upper_bound(hits, n) == pytest.approx(beta.ppf(0.95, hits + 1, n - hits), abs=1e-9)


def test_wilson_holds_the_share_and_stays_within_zero_and_one():
    assert wilson(5, 10) == [0.2366, 0.7634]
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    assert wilson(0, 0) is None
