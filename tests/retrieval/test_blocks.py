import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.blocks import Kind, blocks


def kinds(text: str) -> list[tuple[Kind, str]]:
    return [(block.kind, text[block.start : block.end].strip("\n")) for block in blocks(text)]


def titles(text: str) -> list[tuple[int, str]]:
    return [(block.level, block.title) for block in blocks(text) if block.kind is Kind.HEADING]


def test_a_document_falls_into_its_blocks():
    text = "# Pay\nTwo lines\nof text.\n\n- one\n\n  more\n- two\n\n"
    text += "| a | b |\n| - | - |\n| 1 | 2 |\n```py\n# no heading\n```\n"
    assert kinds(text) == [
        (Kind.HEADING, "# Pay"),
        (Kind.PARAGRAPH, "Two lines\nof text."),
        (Kind.LIST, "- one\n\n  more\n- two"),
        (Kind.TABLE, "| a | b |\n| - | - |\n| 1 | 2 |"),
        (Kind.CODE, "```py\n# no heading\n```"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("## Leave ##\n", [(2, "Leave")]),
        ("Leave\n=====\n", [(1, "Leave")]),
        ("Leave\n-----\n", [(2, "Leave")]),
        ("### **Bold** title\n", [(3, "Bold** title")]),
        ("#hashtag\n", []),
        ("# \n", []),
        ("####### seven\n", []),
        ("two lines\nof text\n-----\n", []),
        ("# C#\n", [(1, "C#")]),
        ("---\ntitle: x\n---\n# A\n", [(1, "A")]),
        ("<!-- Slide number: 2 -->\n# Goals\n", [(0, ""), (1, "Goals")]),
    ],
)
def test_headings_are_told_from_what_looks_like_one(text: str, expected: list[tuple[int, str]]):
    assert titles(text) == expected


def test_a_table_needs_no_outer_pipes():
    assert [kind for kind, _ in kinds("a | b\n--- | ---\n1 | 2\n\ntext")] == [Kind.TABLE, Kind.PARAGRAPH]


def test_an_open_fence_runs_to_the_end():
    assert [kind for kind, _ in kinds("~~~\ncode\n\n# still code")] == [Kind.CODE]


@given(st.text(alphabet="#-=|`~* \n\r\f1.ab<>!"))
def test_blocks_are_disjoint_and_leave_out_only_blanks(text: str):
    at = 0
    for block in blocks(text):
        assert not text[at : block.start].strip()
        assert block.start < block.end
        assert block.start >= at
        at = block.end
    assert not text[at:].strip()


@pytest.mark.parametrize(
    "text",
    [
        "|" * 100_000,
        "# " + " #" * 50_000,
        "- a\n\n" * 20_000,
        "```\n" * 25_000,
        " " * 100_000 + "|-",
        "-" * 100_000,
    ],
)
def test_hostile_text_takes_linear_time(text: str):
    began = time.process_time()
    list(blocks(text))
    assert time.process_time() - began < 1.5  # quadratic would take minutes
