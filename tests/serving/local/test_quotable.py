import pytest

from data.records import Chunk
from serving.local.quotable import headings, units


def chunk(text: str, *path: str) -> Chunk:
    return Chunk(
        id="d#0", document_id="d", document_version=1, ordinal=0, start=0, end=len(text), heading_path=path, text=text
    )


def said(text: str, *path: str) -> list[tuple[str, str]]:
    return [(u.said, u.heading) for u in units(chunk(text, *path))]


def test_sentences_carry_the_heading_above_them():
    text = "Before.\n\n## Leave\n\nFirst one. Second one.\n\n# Tea #\nIt is free."
    assert said(text) == [("Before.", ""), ("First one.", "Leave"), ("Second one.", "Leave"), ("It is free.", "Tea")]


def test_a_hard_wrapped_paragraph_is_read_as_one():
    text = "Hand in your claim in the expenses app within 30 days of the end of the journey, with a\nphotograph of each receipt."
    ((sentence, _),) = said(text)
    assert sentence == text.replace("\n", " ")


def test_a_short_line_without_a_full_stop_is_a_title_for_what_follows():
    found = list(units(chunk("Company cards\n\nThe limit is EUR 2,000.\nDevices\nDisks are encrypted.")))
    assert [(u.said, u.heading, u.is_title) for u in found] == [
        ("Company cards", "", True),
        ("The limit is EUR 2,000.", "Company cards", False),
        ("Devices", "Company cards", True),
        ("Disks are encrypted.", "Devices", False),
    ]


def test_a_short_line_with_a_number_is_a_fact_and_no_title():
    assert [u.is_title for u in units(chunk("Opening hours\n\nMonday 9 to 17"))] == [True, False]


def test_lines_that_all_begin_anew_and_never_stop_are_a_list():
    text = "# Results\nGold contracts grew from 31 to 38, above all among hospital pharmacies\nTwo technicians were authorised"
    assert [s for s, _ in said(text)] == text.splitlines()[1:]


@pytest.mark.parametrize("mark", ["- ", "* ", "+ ", "• ", "1. ", "12) "])
def test_a_list_item_is_one_unit_without_its_mark(mark):
    (unit,) = units(chunk(f"{mark}First aid kit. And more."))
    assert (unit.said, unit.start) == ("First aid kit. And more.", 0)


def test_rows_are_read_with_the_names_of_their_columns():
    text = "| Site | People |\n| --- | --- |\n| Quay | 25 |\n| Moor |  |\n"
    assert [s for s, _ in said(text)] == ["Site: Quay, People: 25", "Site: Moor"]


def test_rows_of_a_table_that_began_in_another_chunk_are_read_with_the_names_in_its_path():
    cut = chunk("| Quay | 25 |\n", "Sites", "Site | People")
    assert [u.said for u in units(cut)] == ["Site: Quay, People: 25"]
    assert headings(cut) == ("Sites",)


def test_under_an_empty_header_the_first_row_names_the_columns():
    text = "|  |  |\n| --- | --- |\n| Day | What |\n| Monday | Welcome |\n"
    assert [s for s, _ in said(text)] == ["Day: Monday, What: Welcome"]


def test_quotation_marks_of_mails_and_comments_of_slides_are_not_said():
    text = "<!-- Slide number: 1 -->\n\n> Hello there, all of you.\n>\n> The trial ended.\n"
    assert [s for s, _ in said(text)] == ["Hello there, all of you.", "The trial ended."]


@pytest.mark.parametrize("text", ["", "\n\n", "---", "| --- |", "# Only a heading"])
def test_there_may_be_nothing_to_quote(text):
    assert said(text) == []


def test_offsets_surround_what_is_quoted():
    text = "Intro line one.\n\n  | A | B |\n  | - | - |\n  | x | y |\n\n * item one\n\nLast. One."
    whole = chunk(text)
    assert [whole.text[u.start : u.end] for u in units(whole)] == [
        "Intro line one.",
        "| x | y |",
        "* item one",
        "Last.",
        "One.",
    ]
