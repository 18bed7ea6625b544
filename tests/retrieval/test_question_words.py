import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.question_words import EVEN_GAP, coverage, is_question, pointedness

TEXTS = ("The kettle is emptied at night.", "The audit takes place in March.", "Nothing of the kind.", "The kettle.")


def test_a_text_counts_by_the_words_of_the_question_that_it_holds_in_any_form():
    covered = coverage("kettles emptied", TEXTS)
    assert covered[0] == pytest.approx(1.0)
    assert covered[1] == covered[2] == 0
    assert 0 < covered[3] < 0.5  # the word that two texts hold is worth less than the one that only one holds


def test_function_words_count_a_fraction():
    with_grammar = coverage("when is the audit", TEXTS)
    assert with_grammar[1] > 0.6
    assert 0 < with_grammar[2] < 0.2


@pytest.mark.parametrize(("question", "texts"), [("", TEXTS), ("kettle", ()), ("\ud800", TEXTS), ("?!", ("", " "))])
def test_any_text_will_do(question, texts):
    assert coverage(question, texts).shape == (len(texts),)


def test_a_question_points_when_its_best_text_holds_much_more_than_the_eleventh():
    few = np.array([0.9] + [0.1] * 20)
    many = np.array([0.5] * 20)
    even = np.array([0.5 + EVEN_GAP] + [0.5] * 20)
    assert pointedness(few) > 0.99
    assert pointedness(many) < 0.1
    assert pointedness(even) == pytest.approx(0.5)
    assert pointedness(np.empty(0)) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_pointedness_is_a_share_and_knows_no_order(values):
    found = pointedness(np.array(values))
    assert 0 <= found <= 1
    assert found == pointedness(np.array(values[::-1]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("When is the audit", True),
        ("Is tea free", True),
        ("the audit, when?", True),
        ("(in the annex) 42 where is it", False),
        ("The audit is in March.", False),
        ("audit laboratory march", False),
        ("", False),
        ("42", False),
    ],
)
def test_a_question_has_its_mark_or_begins_like_one(text, expected):
    assert is_question(text) is expected
