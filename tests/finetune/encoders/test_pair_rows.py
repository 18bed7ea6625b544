from finetune.encoder_recipes import EncoderSource
from finetune.encoders.pair_rows import own_rows, paragraph_rows, trecqa_rows
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
