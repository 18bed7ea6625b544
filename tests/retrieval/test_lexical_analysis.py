import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.lexical_analysis import (
    FUNCTION_WORD_WEIGHT,
    MAX_QUERY_TERMS,
    document_analyser,
    query_weights,
)


def test_words_are_counted_by_stem():
    assert query_weights("Loans, loan and LOANED") == {"loan": 3.0, "and": FUNCTION_WORD_WEIGHT}


def test_function_words_count_a_fraction_each_time():
    assert query_weights("to be or not to be") == {
        "to": pytest.approx(2 * FUNCTION_WORD_WEIGHT),
        "be": pytest.approx(2 * FUNCTION_WORD_WEIGHT),
        "or": FUNCTION_WORD_WEIGHT,
        "not": FUNCTION_WORD_WEIGHT,
    }


def test_accents_and_case_fold_and_unspaced_scripts_are_cut_into_letters():
    assert query_weights("CAFÉ") == query_weights("cafe") == {"cafe": 1.0}
    assert query_weights("東京 tower") == {"東": 1.0, "京": 1.0, "tower": 1.0}


def test_a_long_question_keeps_its_content_words_first():
    weights = query_weights("the " * 10 + " ".join(f"w{n}" for n in range(400)))
    assert len(weights) == MAX_QUERY_TERMS
    assert "w0" in weights
    assert "the" not in weights


def test_text_without_words_has_no_terms():
    assert query_weights("?! ... -- ") == {}


@given(st.text(max_size=80))
def test_a_question_and_a_document_of_the_same_text_have_the_same_terms(text):
    words = document_analyser().analyze(text.encode("utf-8", "replace").decode())
    assert set(query_weights(text)) == set(words)
