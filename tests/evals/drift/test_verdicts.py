import numpy as np
import pytest

from evals.drift.columns import counted_numbers, number_binning
from evals.drift.verdicts import judged, judged_share


def verdict(n_reference, n, shift, seed, effect="js", alpha=0.01, least=0.0):
    rng = np.random.default_rng(seed)
    reference = rng.standard_normal(n_reference)
    binning = number_binning(reference)
    window = counted_numbers(rng.standard_normal(n) + shift, binning)
    return judged(effect, binning, counted_numbers(reference, binning), window, alpha=alpha, least=least)


@pytest.mark.slow
@pytest.mark.parametrize("effect", ["js", "psi", "ks", "wasserstein"])
def test_without_drift_the_share_of_alarms_is_that_of_the_budget(effect):
    alarms = [verdict(2000, 300, 0, seed, effect, alpha=0.1).is_alarm for seed in range(200)]
    assert 0.04 < np.mean(alarms) < 0.18


def test_the_effect_does_not_grow_with_the_rows():
    few, many = (np.mean([verdict(n, n, 0.4, seed).value for seed in range(8)]) for n in (400, 20_000))
    assert few == pytest.approx(many, abs=0.03)


def test_with_many_rows_the_least_effect_decides():
    tiny = verdict(200_000, 200_000, 0.03, 0, least=0.1)
    assert tiny.p_value < 0.01
    assert not tiny.is_alarm
    assert verdict(200_000, 200_000, 0.5, 0, least=0.1).is_alarm


def test_the_difference_of_shares_alarms_beyond_noise_and_least():
    assert judged_share((50, 1000), (200, 1000), alpha=0.001, least=0.05).is_alarm
    assert not judged_share((50, 1000), (60, 1000), alpha=0.001, least=0.05).is_alarm
    assert not judged_share((0, 10), (1, 3), alpha=0.001, least=0.0).is_alarm
    assert judged_share((0, 0), (0, 0), alpha=0.01, least=0.0).value == 0
