import re

import pytest

from app.generation import fenced
from data.records import Chunk, Hit, SourceRef
from finetune.raft import UNKNOWN, Question, RaftShape, SourceChunk, build_raft, cited, question_of, source_text
from finetune.rows import UnusableRow
from finetune.toy_tasks import catalogue

CHUNKS = [SourceChunk(f"c{i}", f"The pump P{i} weighs {i} kg. It is blue.", "Catalogue") for i in range(12)]
CHUNKS.append(SourceChunk("fish", "Herring swim in the sea.", "Sea"))
QUESTIONS = [
    Question(f"q:{i}", f"How much does the pump P{i} weigh?", f"The pump P{i} weighs {i} kg.", (f"c{i}",))
    for i in range(10)
]


def shown_chunks(text: str) -> list[str]:
    return re.findall(r"^(The pump .*|Herring .*)$", text, re.MULTILINE)


def test_the_gold_chunk_is_among_the_most_alike_and_the_answer_cites_it():
    for question, built in zip(QUESTIONS, build_raft(QUESTIONS, CHUNKS, RaftShape(unanswerable_share=0)), strict=True):
        system, user, answer = (message["content"] for message in built.messages)
        shown = shown_chunks(user)
        gold = CHUNKS[int(question.chunks[0][1:])].text
        assert len(shown) == 4
        assert "Herring" not in user, "a distractor must be tempting"
        assert answer == f"{question.answer} [{shown.index(gold) + 1}]"
        assert "I don't know" in system
        assert built.key == question.question


def test_unanswerable_repeats_show_everything_but_the_answer():
    built = build_raft(QUESTIONS, CHUNKS, RaftShape(unanswerable_share=1))
    bare = [c for c in built if c.messages[-1]["content"] == UNKNOWN]
    assert len(bare) == len(QUESTIONS)
    for question, conversation in zip(QUESTIONS, bare, strict=True):
        assert CHUNKS[int(question.chunks[0][1:])].text not in conversation.messages[1]["content"]
        assert len(shown_chunks(conversation.messages[1]["content"])) == 4


def test_about_the_asked_share_is_unanswerable():
    chunks, questions = catalogue()
    known = {c["id"]: SourceChunk(c["id"], c["text"], c["title"]) for c in chunks}
    asked = [question_of("x", q, known) for q in questions if q["chunks"]]
    built = build_raft(asked, list(known.values()), RaftShape(unanswerable_share=0.2))
    assert 0.1 < (len(built) - len(asked)) / len(asked) < 0.3


def test_a_question_that_nothing_answers_is_answered_with_i_do_not_know():
    built = build_raft([Question("q", "Who painted it?", "ignored", ())], CHUNKS, RaftShape())
    assert built[0].messages[-1]["content"] == UNKNOWN


def test_building_twice_gives_the_same_and_another_seed_another():
    assert build_raft(QUESTIONS, CHUNKS, RaftShape()) == build_raft(QUESTIONS, CHUNKS, RaftShape())
    assert build_raft(QUESTIONS, CHUNKS, RaftShape(seed=1)) != build_raft(QUESTIONS, CHUNKS, RaftShape(seed=2))


def test_each_sentence_cites_the_source_that_says_it():
    shown = [(2, SourceChunk("a", "Herring swim in the sea.")), (5, SourceChunk("b", "Owls fly at night."))]
    assert cited("Herring swim. Owls fly.", shown) == "Herring swim. [2] Owls fly. [5]"


def test_sources_look_as_the_product_shows_them():
    chunk = Chunk(
        id="d#0",
        document_id="d",
        document_version=1,
        ordinal=0,
        start=0,
        end=8,
        heading_path=("Pumps",),
        text="It hums.",
    )
    hit = Hit(chunk=chunk, score=1, sources=(SourceRef(document_id="d", uri="u", title="Catalogue", version=1),))
    served = fenced([hit])
    assert source_text(1, SourceChunk("d", "It hums.", "Catalogue > Pumps"), served.fence) == served.text


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"answer": "x", "chunks": ["c1"]}, "no_question"),
        ({"question": "x", "answer": "x", "chunks": ["nowhere"]}, "unknown_chunk"),
        ({"question": "x", "chunks": ["c1"]}, "no_answer"),
    ],
)
def test_unusable_questions_say_why(fields, reason):
    with pytest.raises(UnusableRow) as error:
        question_of("q:1", fields, {"c1": CHUNKS[1]})
    assert error.value.reason == reason
