import pytest

from finetune.overlap import matches
from finetune.toy_tasks import TABLES, TASKS, catalogue, ticket_rows, write_samples


def test_the_samples_in_the_checkout_are_what_the_module_writes(tmp_path):
    for path in write_samples(tmp_path):
        assert path.read_text() == (TABLES.parent / path.name).read_text(), (
            f"run: python -m finetune.toy_tasks ({path.name})"
        )


def test_both_tasks_ask_the_same_and_want_different_answers():
    team, urgency = (ticket_rows(task)[0] for task in TASKS)
    assert [row["messages"][0] for row in team] == [row["messages"][0] for row in urgency]
    assert not any(a["messages"][1] == b["messages"][1] for a, b in zip(team, urgency, strict=True))


@pytest.mark.parametrize("task", TASKS)
def test_no_held_out_ticket_nearly_equals_a_training_ticket(task):
    train, held_out = ([row["messages"][0]["content"] for row in rows] for rows in ticket_rows(task))
    assert matches(train, train, held_out, 0.8) == []


def test_every_question_of_the_catalogue_is_answered_by_its_chunk_or_by_none():
    chunks, questions = catalogue()
    texts = {chunk["id"]: chunk["text"] for chunk in chunks}
    for question in questions:
        for chunk in question["chunks"]:
            number = next(word for word in question["answer"].split() if word.isdigit())
            assert number in texts[chunk].split()
