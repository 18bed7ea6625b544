"""Through the whole product: what is left in the database of conversations that were had."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from data.records import EventType
from tests.app.answering_product import ASKER, answer, put, told_product

QUESTION = "How many weeks of parental leave may parents take?"


@pytest.fixture
def assay(tmp_path):
    with told_product(tmp_path) as opened:
        yield opened


def kept(home: Path) -> dict[str, Counter[str]]:
    """Rows by conversation in each of LangGraph's tables."""
    with closing(sqlite3.connect(home / "var" / "assay.db")) as connection:
        return {
            table: Counter(
                thread.rpartition("\x1f")[2] for (thread,) in connection.execute(f"select thread_id from {table}")
            )
            for table in ("checkpoints", "writes")
        }


def test_of_each_conversation_one_state_is_kept_and_it_remembers_all_turns(assay, tmp_path):
    for _ in range(3):
        answer(assay, QUESTION, conversation_id="c1")
        answer(assay, "Is tea free?", conversation_id="c2")
    assert kept(tmp_path) == {"checkpoints": Counter(c1=1, c2=1), "writes": Counter()}
    found = answer(assay, "And for part-timers?", conversation_id="c1")
    assert "parental" in assay.receipt(found.receipt_id, ASKER).search_text


def test_a_reader_who_leaves_leaves_no_more_behind(assay, tmp_path):
    answer(assay, QUESTION, conversation_id="c1")
    for _ in range(3):
        stream = assay.ask("Is tea free?", principal=ASKER, conversation_id="c1")
        assert next(stream).type is EventType.RETRIEVAL
        stream.close()
    answer(assay, "And for part-timers?", conversation_id="c1")
    assert kept(tmp_path)["checkpoints"] == Counter(c1=1)


def test_a_conversation_that_is_forgotten_leaves_nothing(assay, tmp_path):
    document = put(assay, "vans.md", "# Vans\n\nVans are booked in the portal by the field desk.\n")
    answer(assay, "Who books the vans in the portal?", conversation_id="c1")
    answer(assay, "Is tea free?", conversation_id="c2")
    assay.delete(document, ASKER)
    assert kept(tmp_path) == {"checkpoints": Counter(c2=1), "writes": Counter()}
