import math

import numpy as np
import pytest

from data.betting import FRACTIONS, Capital, Observation, assigned, interval, paired

ALPHA = 0.05


def _ever_rejects(rng: np.random.Generator, capital: Capital, draw, steps: int) -> int:
    """The step at which the gambler first holds 1/ALPHA, or 0."""
    for step in range(1, steps + 1):
        capital.bet(draw(rng))
        if capital.has_reached(1 / ALPHA):
            return step
    return 0


def _thumbs(up_candidate: float, up_incumbent: float, share: float):
    def draw(rng: np.random.Generator) -> Observation:
        chosen = rng.random() < share
        value = float(rng.random() < (up_candidate if chosen else up_incumbent))
        return assigned(value, is_candidate=bool(chosen), share=share, centre=0.5)

    return draw


def test_one_bet_is_what_one_works_out_by_hand():
    capital = Capital(margin=0.0, sign=1)
    capital.bet(paired(1.0, 0.5))
    assert capital.e_value == pytest.approx(1 + 0.5 * FRACTIONS.mean())
    against = Capital(margin=0.0, sign=-1)
    against.bet(paired(1.0, 0.5))
    assert against.e_value == pytest.approx(1 - 0.5 * FRACTIONS.mean())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("centre", [0.0, 0.5, 0.93])
def test_the_weighted_difference_is_unbiased_and_stays_within_its_bounds(share, centre):
    """Exact expectation over assignment and two Bernoulli outcomes."""
    up, down, mean = 0.8, 0.3, 0.0
    for is_candidate, p, rate in ((True, share, up), (False, 1 - share, down)):
        for value in (0.0, 1.0):
            o = assigned(value, is_candidate=is_candidate, share=share, centre=centre)
            assert o.low - 1e-12 <= o.value <= o.high + 1e-12
            mean += p * (rate if value else 1 - rate) * o.value
    assert mean == pytest.approx(up - down)


def test_a_unit_that_says_nothing_adds_nothing():
    for is_candidate in (True, False):
        assert assigned(0.5, is_candidate=is_candidate, share=0.1, centre=0.5).value == 0


@pytest.mark.slow
@pytest.mark.parametrize(("share", "rate"), [(0.5, 0.5), (0.1, 0.7), (0.2, 0.97)])
def test_false_alarms_stay_below_alpha_however_often_one_looks(share, rate):
    """600 streams of 400 units with no difference, looked at after every unit. Bound: alpha plus 3 standard errors."""
    rng, n = np.random.default_rng(7), 600
    alarms = sum(bool(_ever_rejects(rng, Capital(0.0, -1), _thumbs(rate, rate, share), 400)) for _ in range(n))
    assert alarms / n <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / n)


def test_the_same_looks_at_a_fixed_sample_test_raise_false_alarms_far_above_alpha():
    """Why a betting test: a z test at 5 % looked at after every unit rejects true nulls many times as often."""
    rng, alarms, n = np.random.default_rng(7), 0, 300
    for _ in range(n):
        values = np.where(rng.random((400, 2)) < 0.5, 1.0, 0.0)
        difference = (values[:, 0] - values[:, 1]).cumsum()
        steps = np.arange(1, 401)
        z = difference / np.sqrt(steps * 0.5)
        alarms += bool((np.abs(z[20:]) > 1.96).any())
    assert alarms / n > 0.25


@pytest.mark.slow
def test_false_alarms_stay_below_alpha_when_the_rates_drift_together():
    """A bad afternoon hits both arms: per-arm means move, the difference stays zero at each step."""
    rng, alarms, n = np.random.default_rng(11), 0, 400
    for _ in range(n):
        capital, clock = Capital(0.0, -1), iter(range(10_000))

        def draw(rng, clock=clock):
            rate = 0.9 if next(clock) % 200 < 100 else 0.4
            return _thumbs(rate, rate, 0.3)(rng)

        alarms += bool(_ever_rejects(rng, capital, draw, 400))
    assert alarms / n <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / n)


@pytest.mark.parametrize(("share", "median_at_most"), [(0.5, 90), (0.1, 700)])
def test_a_candidate_that_is_much_worse_is_found_soon(share, median_at_most):
    """Thumbs up 90 % against 50 %."""
    rng = np.random.default_rng(3)
    found = [_ever_rejects(rng, Capital(0.0, -1), _thumbs(0.5, 0.9, share), 3000) for _ in range(60)]
    assert all(found)
    assert np.median(found) <= median_at_most


@pytest.mark.slow
def test_a_candidate_within_the_tolerance_is_proven_so():
    rng = np.random.default_rng(5)
    found = [_ever_rejects(rng, Capital(-0.1, 1), _thumbs(0.8, 0.8, 0.5), 6000) for _ in range(20)]
    assert sum(map(bool, found)) >= 18


@pytest.mark.slow
def test_the_interval_covers_the_truth_at_every_time_and_narrows():
    rng, misses, n = np.random.default_rng(2), 0, 60
    for _ in range(n):
        seen = [_thumbs(0.8, 0.6, 0.5)(rng) for _ in range(300)]
        misses += any(not low <= 0.2 <= high for low, high in (interval(seen[:k], ALPHA, 80) for k in (30, 100, 300)))
    assert misses / n <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / n)
    seen = [_thumbs(0.8, 0.6, 0.5)(rng) for _ in range(3000)]
    low, high = interval(seen, ALPHA)
    assert high - low < 0.25
    assert interval([], ALPHA) == (-1.0, 1.0)


def test_the_interval_agrees_with_the_gamblers_one_by_one():
    rng = np.random.default_rng(9)
    seen = [_thumbs(0.9, 0.4, 0.5)(rng) for _ in range(200)]
    low, _ = interval(seen, ALPHA, 20)
    refuted = []
    for margin in np.linspace(-1, 1, 21):
        capital = Capital(float(margin), 1)
        for observation in seen:
            capital.bet(observation)
        if capital.has_reached(2 / ALPHA):
            refuted.append(float(margin))
    assert low == pytest.approx(max(refuted, default=-1.0))


def test_a_null_that_cannot_hold_takes_no_bets():
    capital = Capital(margin=-1.0, sign=1)
    capital.bet(paired(0.0, 1.0))
    assert capital.e_value == 1.0
