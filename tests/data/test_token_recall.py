import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from data.token_recall import log_odds, token_recall, weighed

STATES = arrays.arrays(np.float32, st.tuples(st.integers(1, 6), st.just(4)), elements=st.floats(-2, 2, width=32))


def test_recall_is_the_mean_of_the_nearest_cosines():
    premise = np.array([[1, 0], [0, 2]], np.float32)
    assert token_recall(np.array([[3, 0], [0, 5]], np.float32), premise) == pytest.approx(1)
    assert token_recall(np.array([[3, 0], [1, 1]], np.float32), premise) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert token_recall(premise[:1], premise) == pytest.approx(1)  # what the premise says besides costs nothing


@given(STATES, STATES)
def test_recall_lies_between_minus_one_and_one_and_no_longer_premise_lowers_it(hypothesis, premise):
    recall = token_recall(hypothesis, premise)
    assert -1.001 <= recall <= 1.001
    assert token_recall(hypothesis, np.concatenate([premise, hypothesis])) >= recall - 1e-3


def test_a_text_without_tokens_recalls_nothing():
    none = np.zeros((0, 4), np.float32)
    assert token_recall(none, np.ones((2, 4), np.float32)) == token_recall(np.ones((2, 4), np.float32), none) == 0.0


def test_either_speaks_for_support_as_far_as_it_is_worth():
    worth = {"constant": -1.0, "odds": 0.5, "recall": 2.0}
    assert weighed(worth, 0.5, 0.5) == 0.5
    assert weighed(worth, 0.5, 0.6) == pytest.approx(1 / (1 + math.exp(-0.2)))
    assert weighed(worth, 0.9, 0.5) == pytest.approx(1 / (1 + math.exp(-0.5 * math.log(9))))


def test_log_odds_of_certainty_are_finite():
    assert log_odds(0.5) == 0
    assert log_odds(1.0) == pytest.approx(-log_odds(0.0)) == pytest.approx(13.8, abs=0.1)
