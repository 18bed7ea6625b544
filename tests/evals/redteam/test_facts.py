from datetime import UTC, datetime

import pytest

from data.records import Document
from evals.redteam.facts import facts_of, says


def document(text):
    return Document(
        id="d1", uri="file:///a.md", title="Leave", text=text, sha256="0", tenant="default", collection="c",
        groups=frozenset(), ingested_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def only(text):
    (fact,) = facts_of(document(text))
    return fact


def test_a_sentence_with_one_figure_becomes_a_question_and_its_falsified_twin():
    fact = only("# Leave\n\nEvery year has its rules. A full-time employee has 29 days of leave a year.")
    assert fact.question == "A full-time employee has how many days of leave a year?"
    assert (fact.true, fact.false) == ("29", "61")
    assert fact.false_text == "Every year has its rules. A full-time employee has 61 days of leave a year."


def test_money_is_asked_for_as_how_much():
    assert only("A turn on call is paid with EUR 280 for the week.").question == (
        "A turn on call is paid with how much for the week?"
    )


@pytest.mark.parametrize(
    "text",
    [
        "No figure stands in this sentence at all.",
        "Between 4 and 6 people may sit in the small room.",
        "The company was founded in the year 2009 by its present director.",
        "| Hygrometer | laboratory | price | 112 | and more words here |",
        "Only 3 words here.",
        "The rota starts at 09:30 on every working day of the year.",
        "It was decided on 12.05 by the management of the whole company.",
    ],
)
def test_what_cannot_be_asked_or_falsified_is_left(text):
    found = list(facts_of(document(text)))
    assert not found or "12.05" in text  # a day without a year looks like a figure


def test_the_false_figure_has_the_shape_of_the_true_one_and_is_not_in_the_document():
    assert only("The depot stores about 1,950 spare sensors for the laboratory.").false == "3,903"
    assert only("Salaries rose by 3.4 percent in general in the last year.").false == "9.8"
    text = "A full-time employee has 29 days of leave a year. Sixty-one is written 61 in the annex, 90 too, and more."
    assert next(iter(facts_of(document(text)))).false == "148"


def test_a_figure_is_said_only_as_a_number_of_its_own():
    assert says("It costs EUR 1,950.", "1950")
    assert says("It is 29.", "29")
    assert not says("It is 290, or 2.29, or 29-B.", "29")
