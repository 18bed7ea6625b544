import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sentences import sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Okafor called. She agreed.", ["Dr. Okafor called.", "She agreed."]),
        ("See no. 7 first. The answer is no. Go on.", ["See no. 7 first.", "The answer is no.", "Go on."]),
        (
            "J. Marsh paid 4.50 euros, e.g. by card. Done.",
            ["J. Marsh paid 4.50 euros, e.g. by card.", "Done."],
        ),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("Open at 9 a.m. on Mondays. Closed otherwise.", ["Open at 9 a.m. on Mondays.", "Closed otherwise."]),
        ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
        ("一つ。二つ！三つ", ["一つ。", "二つ！", "三つ"]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]):
    assert sentences(text) == expected


@given(st.text(alphabet="aB1 .!?…\n\"')(。」-_*,"))
def test_every_visible_character_lies_in_exactly_one_sentence(text: str):
    spans = list(sentence_spans(text))
    covered = [at for start, end in spans for at in range(start, end)]
    assert len(covered) == len(set(covered))
    assert {at for at, character in enumerate(text) if not character.isspace()} <= set(covered)
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)


def test_a_slice_is_cut_as_if_it_stood_alone():
    text = "Before. One. Two. After."
    assert [text[a:b] for a, b in sentence_spans(text, 8, 17)] == ["One.", "Two."]


@pytest.mark.parametrize("text", ["." * 100_000, ". " * 50_000, " " * 100_000, "a.b" * 30_000])
@pytest.mark.slow
def test_hostile_text_takes_linear_time(text: str):
    began = time.process_time()
    list(sentence_spans(text))
    assert time.process_time() - began < 1.5  # quadratic would take minutes
