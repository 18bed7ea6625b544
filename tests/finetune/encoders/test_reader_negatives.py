from finetune.encoder_recipes import EncoderSource
from finetune.encoders.built_rows import BuiltRow
from finetune.encoders.reader_negatives import article_negatives, edited_negatives, holds_answer, retrieved_negatives
from finetune.encoders.reader_rows import own_rows
from finetune.rows import Row, normalised
from tests.finetune.encoders.conftest import question_rows

SOURCE = EncoderSource(path="x", licence="CC0-1.0")
ROWS = [
    row
    for row in own_rows({"x": [Row(f"x:{i}", fields) for i, fields in enumerate(question_rows())]}, SOURCE)
    if isinstance(row, BuiltRow)
]


def answers_of(negative):
    where = negative.where.partition("+")[0]
    return next(row.fields["answers"] for row in ROWS if row.where == where)


def test_a_retrieved_negative_never_holds_the_answer_nor_is_the_right_paragraph():
    made = retrieved_negatives(ROWS, 1.0, seed=3)
    assert len(made) > 50
    for negative in made:
        assert negative.fields["spans"] == ()
        assert not any(normalised(a) in normalised(negative.fields["context"]) for a in answers_of(negative))


def test_article_negatives_stay_in_the_article_and_a_text_with_the_answer_is_none():
    assert article_negatives(ROWS, 1.0, seed=3) == []  # every paragraph of an article names its one city
    moved = [
        BuiltRow(r.where, r.fields | {"answers": ("nowhere",)}, r.key, r.groups) for r in ROWS if r.fields["answers"]
    ]
    made = article_negatives(moved, 2.0, seed=3)
    assert len(made) == 2 * len(moved)
    context = {row.where: row.fields["context"] for row in moved}
    assert all(n.fields["context"] != context[n.where.partition("+")[0]] for n in made)
    assert {n.groups for n in made} == {r.groups for r in moved}


def test_case_and_blanks_do_not_hide_an_answer():
    row = BuiltRow("x", {"answers": ("New  Oslo",)}, "k")
    assert holds_answer("they live in new oslo now", row)


def test_no_more_negatives_are_made_than_asked_for():
    assert retrieved_negatives(ROWS, 0.0, seed=3) == []
    assert 10 < len(retrieved_negatives(ROWS, 0.3, seed=3)) < 45


def test_edited_negatives_keep_the_paragraph_and_change_the_question():
    made = edited_negatives(ROWS, 1.0, seed=3)
    own = {row.where: row for row in ROWS}
    assert made
    for negative in made:
        row = own[negative.where.partition("+")[0]]
        assert negative.fields["context"] == row.fields["context"]
        assert negative.fields["spans"] == ()
        assert negative.fields["question"] != row.fields["question"]
        assert negative.groups == row.groups
