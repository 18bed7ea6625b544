import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.encoders.statements import statement


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        ("Who led the expedition?", "Rollo", "Rollo led the expedition."),
        ("When was Montreal captured?", "1760", "Montreal was captured in 1760."),
        ("In what year did Watt recognize oxygen?", "1774", "Watt recognize oxygen in 1774."),
        ("What is the capital of France?", "Paris", "Paris is the capital of France."),
        ("What are tumors of the skin known as?", "melanomas", "Tumors of the skin are known as melanomas."),
        ("Which station has run the show?", "ABC", "ABC has run the show."),
        ("What club won 118 tournaments?", "the Team", "The Team won 118 tournaments."),
        ("How many picks did Talib have?", "three", "Talib have three picks."),
        ("Where is the Village located?", "in the centre", "The Village is located in the centre."),
        (
            "The project was to help the residents of what area?",
            "Hyde Park",
            "The project was to help the residents of Hyde Park.",
        ),
        ("Why did it fail?", "lack of money", "It fail because of lack of money."),
    ],
)
def test_a_question_and_its_answer_make_a_statement(question, answer, said):
    assert statement(question, answer) == said


def test_what_asks_nothing_by_a_question_word_makes_none():
    assert statement("Was Rollo a king?", "yes") is None
    assert statement("What?", "this") is None


@given(st.text(max_size=120), st.text(min_size=1, max_size=40).filter(str.strip))
def test_any_text_makes_a_statement_or_none(question, answer):
    said = statement(question, answer)
    assert said is None or said.endswith(".")
