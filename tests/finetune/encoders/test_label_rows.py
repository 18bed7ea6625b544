import pytest

from data.errors import InvalidInput
from finetune.encoder_recipes import EncoderSource
from finetune.encoders.label_rows import alike_rows, own_rows
from finetune.rows import Row


def texts(**more):
    return EncoderSource(path="x", licence="CC0-1.0", format="texts", **more)


ROWS = {"x": [Row("x:1", {"a": "One", "title": "T"}), Row("x:2", {"a": "one "}), Row("x:3", {"b": "two"})]}


def test_a_file_of_texts_gets_one_label_and_each_text_once():
    first, dropped = alike_rows(ROWS, texts(field="a", label="benign", name="pages"))
    assert first.fields == {"text": "One", "label": "benign"}
    assert first.groups == ("pages:T",)
    assert dropped.reason == "no_text"


def test_which_field_and_which_label_must_be_said():
    with pytest.raises(InvalidInput, match="`field` and `label`"):
        list(alike_rows(ROWS, texts(field="a")))


def test_own_rows_keep_their_groups_together():
    rows = [Row("x:1", {"text": "a", "label": "old", "group": "g"}), Row("x:2", {"text": "b", "label": "new"})]
    assert [row.groups for row in own_rows({"x": rows}, texts())] == [("given:g",), ("text:b",)]
