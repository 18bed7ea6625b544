import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from data.claims import MOST_LACKING, MOST_WORDS, log_odds, signs, token_recall, weighed

PREMISE = "Rollo founded the duchy in 911. It was the first of its kind."
STATES = arrays.arrays(np.float32, st.tuples(st.integers(1, 6), st.just(4)), elements=st.floats(-2, 2, width=32))


def found(hypothesis, premise=PREMISE):
    return signs(premise, premise, hypothesis)


def test_what_the_premise_holds_is_not_lacking():
    same = found("Rollo founded the duchy.")
    assert (same["words"], same["lacking"]) == (3, 0)
    assert (same["numbers"], same["opposites"], same["negation"]) == (0, 0, 0)
    assert same["length"] == math.log1p(len("Rollo founded the duchy."))


@pytest.mark.parametrize(
    ("hypothesis", "name"),
    [
        ("Rollo founded the duchy in 912.", "numbers"),
        ("It was the last of its kind.", "opposites"),
        ("Rollo never founded the duchy.", "negation"),
    ],
)
def test_a_number_an_opposite_and_a_negation_are_signs_of_their_own(hypothesis, name):
    assert [n for n in ("numbers", "opposites", "negation") if found(hypothesis)[n]] == [name]


def test_words_are_of_the_part_that_is_read_and_the_length_of_the_whole():
    cut = signs(PREMISE, "Rollo founded the duchy in 911.", "It was the first.")
    assert cut["premise_length"] == math.log1p(len(PREMISE))
    assert cut["lacking"] == 1


def test_of_a_long_hypothesis_only_so_many_words_count():
    long = found(" ".join(f"word{i}" for i in range(100)))
    assert (long["words"], long["lacking"]) == (MOST_WORDS, MOST_LACKING)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_texts_have_signs_that_are_numbers(premise, hypothesis):
    assert all(math.isfinite(value) for value in signs(premise, premise, hypothesis).values())


def test_recall_is_the_mean_of_the_nearest_cosines():
    premise = np.array([[1, 0], [0, 2]], np.float32)
    assert token_recall(np.array([[3, 0], [0, 5]], np.float32), premise) == pytest.approx(1)
    assert token_recall(np.array([[3, 0], [1, 1]], np.float32), premise) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert token_recall(premise[:1], premise) == pytest.approx(1)  # what the premise says besides costs nothing


@given(STATES, STATES)
def test_recall_lies_between_minus_one_and_one_and_no_premise_lowers_it(hypothesis, premise):
    recall = token_recall(hypothesis, premise)
    assert -1.001 <= recall <= 1.001
    assert token_recall(hypothesis, np.concatenate([premise, hypothesis])) >= recall - 1e-3


def test_a_text_without_tokens_recalls_nothing():
    none = np.zeros((0, 4), np.float32)
    assert token_recall(none, np.ones((2, 4), np.float32)) == token_recall(np.ones((2, 4), np.float32), none) == 0.0


def test_signs_without_a_worth_weigh_nothing():
    assert weighed({"constant": 1.0, "recall": 2.0}, {"recall": 0.5, "lacking": 7.0}) == 2.0


def test_log_odds_of_certainty_are_finite():
    assert log_odds(0.5) == 0
    assert log_odds(1.0) == pytest.approx(-log_odds(0.0)) == pytest.approx(13.8, abs=0.1)
