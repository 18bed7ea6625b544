import pytest
from scipy import stats

from evals.statistics.student import t_cdf, t_quantile


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 24, 59, 400])
@pytest.mark.parametrize("t", [-3.2, -0.4, 0.0, 0.1, 1.96, 12.0])
def test_the_distribution_is_scipys(df, t):
    assert t_cdf(t, df) == pytest.approx(stats.t.cdf(t, df), abs=1e-12)


@pytest.mark.parametrize("df", [1, 2, 5, 30, 999])
@pytest.mark.parametrize("p", [0.005, 0.05, 0.5, 0.975, 0.9995])
def test_the_quantiles_are_scipys(df, p):
    assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9, abs=1e-9)
