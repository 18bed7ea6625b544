import pytest

from app.settings import load_settings
from app.wiring import open_assay
from tests.app.answering_product import LEAVE, put
from tests.app.commands.conftest import ends_with_example

pytestmark = pytest.mark.slow  # loads the real encoder


def test_help_ends_with_an_example(run):
    assert ends_with_example(run("replay", "--help").out, "replay")


def test_an_unchanged_index_gives_the_same_bit_for_bit(run, receipt_id):
    ran = run("replay", receipt_id)
    assert ran.code == 0
    assert ran.out.startswith("Identical, bit for bit")
    assert run("replay", receipt_id, "--json").json["identical"] is True


def test_a_changed_document_is_named_and_exits_with_one(run, receipt_id, home):
    assay = open_assay(load_settings(home=home))
    put(assay, "leave.md", LEAVE.replace("twenty-two", "thirty"))
    assay.close()
    ran = run("replay", receipt_id)
    assert ran.code == 1
    assert "has another text" in ran.out
    assert run("replay", receipt_id, "--json").json["differences"]


def test_a_receipt_that_is_not_there_is_wrong_use(run):
    ran = run("replay", "rcpt_nothing")
    assert (ran.code, ran.out) == (2, "")
    assert "There is no receipt 'rcpt_nothing'" in ran.err
