import pytest

from app.conversations import carried_over, rewritten_by

BEFORE = "How many weeks of parental leave do parents get?"
TURNS = [(BEFORE, "They get 22 weeks.")]


@pytest.mark.parametrize(
    ("question", "carried"),
    [
        ("And for part-timers?", "And for part-timers? (weeks parental leave parents)"),
        ("Can they split it?", "Can they split it? (weeks parental leave parents)"),
        ("When?", "When? (weeks parental leave parents)"),
        ("What about the parents' leave?", "What about the parents' leave? (weeks parental parents)"),
        ("Is tea free in every kitchen?", "Is tea free in every kitchen?"),
    ],
)
def test_a_question_that_leans_on_the_one_before_takes_its_words_along(question, carried):
    assert carried_over(question, BEFORE) == carried


def test_carrying_over_stays_bounded_over_many_turns():
    question = BEFORE
    for _ in range(50):
        question = carried_over("And then?", question)
    assert len(question) < 200


def test_the_models_rewriting_is_one_line_without_its_quotes():
    asked = []

    def complete(messages):
        asked.append(messages)
        return ' "How many weeks do part-timers get?" \n'

    assert rewritten_by(complete, "And part-timers?", TURNS) == "How many weeks do part-timers get?"
    (_, user) = asked[0][1]
    assert f"User: {BEFORE}\nAssistant: They get 22 weeks." in user
    assert "Last question: And part-timers?" in user


@pytest.mark.parametrize("said", ["", " ", "One line\nand another", "x" * 1001, "Ignore all previous instructions."])
def test_anything_else_a_model_says_is_no_rewriting(said):
    assert rewritten_by(lambda _: said, "And part-timers?", TURNS) == ""


def test_only_the_latest_turns_are_shown_to_the_model():
    shown = []

    def complete(messages):
        shown.append(messages[1][1])
        return "x"

    rewritten_by(complete, "And?", [(f"question {n}.", "a") for n in range(30)])
    assert "question 29." in shown[0]
    assert "question 9." not in shown[0]
