from hypothesis import given
from hypothesis import strategies as st

from data.asked import KINDS, missing

CONTEXT = "Rollo founded the duchy in 911. William ruled it until 1087. He was the first king of his line. Nobody asked Emma of Paris."
AT_WILLIAM = CONTEXT.index("William")


def lacks(question, start=AT_WILLIAM):
    return dict(zip(KINDS, missing(question, CONTEXT, start), strict=True))


def test_what_the_sentence_holds_is_not_missing():
    assert lacks("Who ruled until 1087?") == {"words": 0.0, "names": 0.0, "numbers": 0.0, "opposites": 0.0}


def test_words_count_in_the_sentence_names_and_numbers_beside_it_too():
    assert lacks("Who ruled in 911 after Rollo founded it?")["numbers"] == 0
    assert lacks("Who ruled in 911 after Rollo founded it?")["names"] == 0
    assert lacks("Who ruled in 911 after Rollo founded it?")["words"] == 4 / 5  # rule is there
    assert lacks("Who ruled with Emma of Paris in 1204?") | {"words": 0} == {
        "words": 0,
        "names": 2.0,
        "numbers": 1.0,
        "opposites": 0.0,
    }


def test_an_opposite_counts_where_it_stands_instead():
    at = CONTEXT.index("He was")
    assert lacks("Who was the last king?", at)["opposites"] == 1
    assert lacks("Was the first king the last?", at)["opposites"] == 1
    assert lacks("Who was the first king?", at)["opposites"] == 0


@given(st.text(max_size=80), st.text(max_size=200), st.integers(0, 300))
def test_any_text_gives_counts_that_are_not_negative(question, context, start):
    assert all(n >= 0 for n in missing(question, context, start))
