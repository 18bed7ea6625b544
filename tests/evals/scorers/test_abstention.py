import math

import numpy as np
import pytest

from data.errors import InvalidInput
from evals.scorers.abstention import AbstentionScorer, aurc, binomial_bound, calibrated_threshold, risk_coverage
from tests.evals.making import abstained, answered, sample, values


@pytest.mark.parametrize(
    ("answerable", "seen", "value"),
    [(True, answered("x"), 1.0), (True, abstained(), 0.0), (False, answered("x"), 0.0), (False, abstained(), 1.0)],
)
def test_answering_is_right_exactly_where_there_is_an_answer(answerable, seen, value):
    assert values(AbstentionScorer().score(sample(answerable=answerable), seen)) == {"abstention_correct": value}


def test_a_worked_curve():
    points = risk_coverage([0.9, 0.5, 0.7, 0.5], [0, 1, 1, 0], n_samples=8)
    assert [(p.threshold, p.coverage, p.risk) for p in points] == [
        (0.9, 1 / 8, 0.0),
        (0.7, 2 / 8, 0.5),
        (0.5, 4 / 8, 0.5),
    ]


def test_aurc_worked_by_hand():
    assert aurc([0.9, 0.8, 0.7], [0, 1, 0]) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)


def test_perfect_confidence_has_the_least_area_and_none_at_all_the_plain_risk():
    losses = [0, 1, 0, 0, 1, 0]
    assert aurc([1 - x for x in losses], losses) < aurc(losses, losses)
    assert aurc([0.5] * 6, losses) == pytest.approx(2 / 6)


def test_the_area_of_ties_is_the_mean_over_their_orders():
    orders = [aurc([3, 2, 1], losses) for losses in ([1, 0, 0], [0, 1, 0], [0, 0, 1])]
    assert aurc([1, 1, 1], [1, 0, 0]) == pytest.approx(sum(orders) / 3)


@pytest.mark.parametrize("n", [10, 59])
def test_the_binomial_bound_without_errors_has_a_closed_form(n):
    assert binomial_bound(0, n, 0.05) == pytest.approx(1 - 0.05 ** (1 / n), abs=1e-9)


def test_the_binomial_bound_is_where_the_tail_is_delta():
    bound = binomial_bound(3, 40, 0.1)
    tail = sum(math.comb(40, k) * bound**k * (1 - bound) ** (40 - k) for k in range(4))
    assert tail == pytest.approx(0.1, abs=1e-9)
    assert binomial_bound(5, 5, 0.1) == 1.0


def test_the_calibrated_threshold_covers_as_much_as_it_may():
    confidences = [n / 200 for n in range(200)]
    losses = [float(n < 60) for n in range(200)]  # wrong exactly below 0.3
    found = calibrated_threshold(confidences, losses, risk=0.05)
    assert found.bound <= 0.05
    assert 0.28 < found.threshold < 0.34
    assert found.coverage == pytest.approx(1 - found.threshold, abs=0.01)


def test_where_nothing_can_be_promised_nothing_is_covered():
    found = calibrated_threshold([0.5, 0.6, 0.7], [0, 0, 0], risk=0.05)
    assert (found.threshold, found.coverage) == (math.inf, 0.0)


def test_the_promise_holds_as_often_as_it_says():
    """True risk at confidence c is 1 - c: the risk above a threshold t is (1 - t) / 2."""
    rng, broken = np.random.default_rng(0), 0
    for _ in range(100):
        confidences = rng.random(150)
        losses = (rng.random(150) > confidences).astype(float)
        found = calibrated_threshold(confidences.tolist(), losses.tolist(), risk=0.2, delta=0.1)
        broken += found.coverage > 0 and (1 - found.threshold) / 2 > 0.2
    assert broken <= 10 + 3 * math.sqrt(100 * 0.1 * 0.9)


def test_losses_other_than_0_and_1_have_no_binomial_bound():
    with pytest.raises(InvalidInput, match="0 and 1"):
        calibrated_threshold([0.5], [0.3], risk=0.1)
    with pytest.raises(InvalidInput, match="2 confidences and 1 losses"):
        risk_coverage([0.1, 0.2], [1])
