import gzip

import pytest

from data.errors import NotFound
from finetune.recipe_parts import Source
from finetune.rows import Row, UnusableRow, conversation_of, held_out, preference_of, read_source
from tests.finetune.conftest import conversation


def test_lines_that_are_no_object_are_dropped_with_their_place(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n\nnot json\n[1]\n{"a": 2}\n'))
    rows, dropped, digest = read_source(Source(path=path, licence="MIT"), "train")
    assert [(row.where, row.fields["a"]) for row in rows] == [("rows.jsonl.gz:1", 1), ("rows.jsonl.gz:5", 2)]
    assert [(d.where, d.reason) for d in dropped] == [
        ("rows.jsonl.gz:3", "not_json"),
        ("rows.jsonl.gz:4", "not_an_object"),
    ]
    assert (digest.n_rows, digest.role, len(digest.sha256)) == (2, "train", 64)


def test_a_missing_file_names_the_field_to_mend(tmp_path):
    with pytest.raises(NotFound, match=r"Mend the path in data\.train"):
        read_source(Source(path=tmp_path / "no.jsonl", licence="MIT"), "train")


def test_prompt_and_completion_become_turns_and_the_system_prompt_is_no_part_of_the_key():
    row = Row(
        "r:1",
        {
            "prompt": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
            "completion": "Hello",
        },
    )
    found = conversation_of(row)
    assert [m["role"] for m in found.messages] == ["system", "user", "assistant"]
    assert found.key == "Hi"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": "x"}, "no_conversation"),
        ({"messages": []}, "not_messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "unknown_role"),
        ({"messages": [{"role": "user", "content": "x"}]}, "no_answer"),
        (conversation("x", "  "), "empty_answer"),
    ],
)
def test_unusable_conversations_say_why(fields, reason):
    with pytest.raises(UnusableRow) as error:
        conversation_of(Row("r:1", fields))
    assert error.value.reason == reason


def test_a_pair_of_equal_answers_is_unusable():
    with pytest.raises(UnusableRow, match="equal"):
        preference_of(Row("r:1", {"prompt": "a", "chosen": "b", "rejected": "b"}))


def test_equal_keys_fall_on_one_side_and_about_the_share_is_held_out():
    sides = held_out([f"key {i}" for i in range(2000)] + ["KEY  7"], 0.1, 17)
    assert 150 < sum(sides) < 250
    assert sides[-1] == sides[7]
    assert sides != held_out([f"key {i}" for i in range(2000)] + ["KEY  7"], 0.1, 18)
