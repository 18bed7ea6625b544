import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.encoders import question_edits
from finetune.encoders.question_edits import unanswerable_question, unsupported_sentence

CONTEXT = "Rollo founded the duchy in 911. Later, William ruled in Rouen with Emma of Paris until 1087."
ANSWER = (0, 5)
OTHERS = ("Men from Kiev and Oslo came in 1204.",)


def edits(question, *, n=40, context=CONTEXT, others=OTHERS):
    made = (unanswerable_question(question, context, ANSWER, others, random.Random(seed)) for seed in range(n))
    return {edit for edit in made if edit}


def test_a_year_becomes_another_year_of_the_context(monkeypatch):
    monkeypatch.setattr(question_edits, "NEGATIONS", 0)
    assert edits("Who ruled until 1087?") == {
        "Who ruled until 1204?"
    }  # 911 has another form, and is in the answer's sentence


def test_a_name_becomes_another_name_but_not_one_beside_the_answer(monkeypatch):
    monkeypatch.setattr(question_edits, "NEGATIONS", 0)
    found = edits("Who ruled with Emma?")
    assert found == {"Who ruled with William?", "Who ruled with Rouen?", "Who ruled with Paris?"}
    assert edits("Who ruled with Emma?", context="Rollo ruled with Emma.") == {
        "Who ruled with Kiev?",
        "Who ruled with Oslo?",
    }


def test_an_opposite_stands_where_its_word_stood(monkeypatch):
    monkeypatch.setattr(question_edits, "NEGATIONS", 0)
    assert edits("who was the first duke?") == {"who was the last duke?"}


@pytest.mark.parametrize(
    ("question", "negated"),
    [
        ("who can rule?", "who can't rule?"),
        ("who did he follow?", "who didn't he follow?"),
        ("why was it not kept?", None),
    ],
)
def test_negations_are_contracted_and_never_doubled(monkeypatch, question, negated):
    monkeypatch.setattr(question_edits, "NEGATIONS", 1)
    assert edits(question) == ({negated} if negated else set())


@given(st.text(max_size=80), st.text(max_size=200), st.integers(0, 2**16))
def test_whatever_is_asked_the_edit_differs_or_there_is_none(question, context, seed):
    edit = unanswerable_question(question, context, (0, 1), (), random.Random(seed))
    assert edit is None or edit != question


def test_names_change_places_unless_they_are_of_one_list(monkeypatch):
    monkeypatch.setattr(question_edits, "NEGATIONS", 0)
    sentence = "In 1066 William fought with the guards of Harold, Edwin and Morcar."
    found = {unsupported_sentence(sentence, sentence, (), random.Random(seed)) for seed in range(20)}
    assert found == {"In 1066 Harold fought with the guards of William, Edwin and Morcar."}
    assert unsupported_sentence("it was seen.", "", (), random.Random(0)) is None
