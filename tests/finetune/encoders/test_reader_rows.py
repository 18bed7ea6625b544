import pytest

from finetune.encoder_recipes import EncoderSource
from finetune.encoders.built_rows import BuiltRow
from finetune.encoders.reader_rows import Given, best_span, occurrences, own_rows, sentence_rows, squad_rows
from finetune.examples import Dropped
from finetune.rows import Row
from tests.finetune.encoders.conftest import question_rows

SOURCE = EncoderSource(path="x", licence="CC0-1.0")
STORY = "In 1900 the mill was built. It burned in 1931. In 1931 the town gave 1900 crowns to rebuild it."


def as_rows(name, fields):
    return [Row(f"{name}:{i}", row) for i, row in enumerate(fields, 1)]


def text_at(span):
    return STORY[span[0] : span[1]]


def test_a_start_is_looked_for_where_the_question_points_not_at_the_first_occurrence():
    span = best_span("How many crowns did the town give?", STORY, [Given("1900", STORY.index("1900"))])
    assert text_at(span) == "1900"
    assert span[0] > STORY.index("town")


def test_what_other_annotators_marked_without_doubt_decides_the_place():
    given = [Given("1931", STORY.index("1931")), Given("1931", STORY.index("1931")), Given("burned in 1931", 31)]
    assert best_span("When did the town rebuild it?", STORY, given)[0] == STORY.index("1931")


def test_the_answer_of_most_annotators_is_learned():
    given = [Given("mill", 12), Given("the mill", 8), Given("mill", 12)]
    assert text_at(best_span("What was built?", STORY, given)) == "mill"


def test_parts_of_words_do_not_count_while_whole_words_exist():
    assert occurrences("Norman or Normans, a Norman", "Norman") == [(0, 6), (21, 27)]
    assert occurrences("preheated", "heat") == [(3, 7)]


def test_a_question_in_both_versions_counts_once_and_keeps_its_article():
    rows = question_rows()
    files = {"v1.1.jsonl.gz": as_rows("v1", rows[:5]), "v2.0.jsonl.gz": as_rows("v2", rows[:10])}
    built = list(squad_rows(files, SOURCE))
    assert [row.where for row in built] == [f"v1:{i}" for i in range(1, 6)] + [f"v2:{i}" for i in range(6, 11)]
    assert {row.groups for row in built} == {("article:article 0",)}
    assert built[-1].fields["spans"] == ()


@pytest.mark.parametrize(
    "answers",
    [
        [{"text": "oslo", "answer_start": 14}],
        {"text": ["oslo"], "answer_start": [14]},
        [{"text": "oslo", "start": 14}],
    ],
)
def test_answers_are_read_in_every_published_form(answers):
    row = {"question": "where ?", "context": "anna lives in oslo .", "answers": answers}
    (built,) = own_rows({"x": as_rows("x", [row])}, SOURCE)
    assert built.fields["spans"] == ((14, 18),)


def test_an_answer_that_does_not_stand_in_its_context_is_dropped_with_the_reason():
    row = {"question": "where ?", "context": "anna lives in oslo .", "answers": [{"text": "lima", "answer_start": 0}]}
    (dropped,) = own_rows({"x": as_rows("x", [row])}, SOURCE)
    assert isinstance(dropped, Dropped)
    assert dropped.reason == "answer_not_found"


def test_a_sentence_stands_among_its_neighbours_and_the_span_is_the_sentence():
    sentences = [f"sentence number {i} -lrb- about {i * 7} things -rrb- ." for i in range(9)]
    files = {
        "corpus.jsonl.gz": as_rows("c", [{"_id": f"test-s{i}", "text": text} for i, text in enumerate(sentences)]),
        "queries.jsonl.gz": as_rows("q", [{"_id": f"q{i}", "text": f"what is {i} ?"} for i in range(9)]),
        "qrels.tsv": as_rows("r", [{"query-id": f"q{i}", "corpus-id": f"test-s{i}", "score": "1"} for i in range(9)]),
    }
    built = list(sentence_rows(files, SOURCE))
    assert len(built) == 9
    for i, row in enumerate(built):
        assert isinstance(row, BuiltRow)
        assert row.is_weak
        ((start, end),) = row.fields["spans"]
        assert row.fields["context"][start:end] == f"sentence number {i} (about {i * 7} things)."
        assert row.fields["context"].count("sentence number") >= 3
    assert len({row.fields["context"].index(f"sentence number {i}") > 0 for i, row in enumerate(built)}) == 2
