from finetune.encoder_recipes import EncoderSource
from finetune.encoders.pair_rows import answer_sentence_rows, own_rows, paragraph_rows, trecqa_rows
from finetune.rows import Row
from tests.finetune.encoders.conftest import question_rows

SOURCE = EncoderSource(path="x", licence="CC0-1.0")


def as_rows(fields):
    return [Row(f"x:{i}", row) for i, row in enumerate(fields, 1)]


def test_only_questions_that_have_an_answer_make_pairs_and_each_once():
    rows = as_rows(question_rows())
    built = list(paragraph_rows({"v1.1.jsonl.gz": rows[:20], "v2.0.jsonl.gz": rows}, SOURCE))
    assert len(built) == 90
    assert len({row.groups for row in built}) == 10


def test_judged_sentences_make_a_pair_per_right_one_with_all_the_wrong_ones_and_no_test_row():
    judged = [("train", "q one", "right a", 1), ("train", "q one", "wrong b", 0), ("train", "q one", "right c", 1)]
    judged += [("train", "q one", "wrong d", 0), ("test", "q two", "right e", 1), ("dev", "q three", "wrong f", 0)]
    rows = as_rows([dict(zip(("split", "question", "sentence", "label"), row, strict=True)) for row in judged])
    built = list(trecqa_rows({"x": rows}, SOURCE))
    assert [row.fields["positive"] for row in built] == ["right a", "right c"]
    assert {row.fields["negatives"] for row in built} == {("wrong b", "wrong d")}


def test_negatives_that_are_no_texts_drop_the_row():
    (row,) = own_rows({"x": as_rows([{"query": "q", "positive": "p", "negatives": [3]}])}, SOURCE)
    assert row.reason == "not_a_list"


MILL = "The mill stands by the river. The mill was built in 1790. Its wheel is of oak. Nobody knows who built the mill."


def asked(question, *starts, **more):
    return {
        "title": "mill",
        "question": question,
        "context": MILL,
        "answers": [{"answer_start": at} for at in starts],
    } | more


def test_a_question_is_paired_with_the_sentence_that_holds_its_answer_and_the_likest_of_the_others():
    rows = as_rows([asked("Who knows when the mill was built?", MILL.index("1790"))])
    (row,) = answer_sentence_rows({"v1.1.jsonl.gz": rows}, SOURCE)
    assert row.fields["positive"] == "The mill was built in 1790."
    assert set(row.fields["negatives"]) == {"Nobody knows who built the mill.", "The mill stands by the river."}
    assert row.groups == ("article:mill",)


def test_where_answers_lie_in_several_sentences_the_one_with_most_is_right():
    at = MILL.index("oak")
    rows = as_rows([asked("What is it of?", 4, at, at + 1)])
    (row,) = answer_sentence_rows({"v1.1.jsonl.gz": rows}, SOURCE)
    assert row.fields["positive"] == "Its wheel is of oak."


def test_a_question_without_an_answer_makes_no_pair():
    rows = as_rows([asked("When?", is_impossible=True), asked("Where?")])
    (dropped,) = answer_sentence_rows({"v1.1.jsonl.gz": rows}, SOURCE)
    assert dropped.reason == "no_answer"
