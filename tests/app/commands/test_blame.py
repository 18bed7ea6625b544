import pytest

from app.settings import load_settings
from app.wiring import open_assay
from tests.app.answering_product import LEAVE, put
from tests.app.commands.conftest import ends_with_example

pytestmark = pytest.mark.slow  # loads the real encoder

QUESTION = "How many weeks of parental leave may parents take?"


def test_help_ends_with_an_example(run):
    assert ends_with_example(run("blame", "--help").out, "blame")


def test_the_same_question_twice_differs_in_nothing(run, receipt_id):
    again = run("ask", QUESTION, "--json").json["receipt_id"]
    ran = run("blame", receipt_id, again)
    assert ran.code == 0
    assert ran.out.startswith("Nothing differs")
    assert run("blame", receipt_id, again, "--json").json == []


def test_the_cause_comes_first(run, receipt_id, home):
    assay = open_assay(load_settings(home=home))
    put(assay, "leave.md", LEAVE.replace("twenty-two", "thirty"))
    assay.close()
    again = run("ask", QUESTION, "--json").json["receipt_id"]
    ran = run("blame", receipt_id, again)
    assert ran.code == 0
    assert ran.out.splitlines()[0].split() == ["cause", "snapshot"]
    found = run("blame", receipt_id, again, "--json").json
    assert [d["component"] for d in found] == ["snapshot", "retrieval", "answer"]


def test_a_receipt_that_is_not_there_is_wrong_use(run, receipt_id):
    assert run("blame", receipt_id, "rcpt_nothing").code == 2
