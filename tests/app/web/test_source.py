"""Documents laid out for reading: offsets hold, whatever the text looks like."""

import hashlib
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.web import source
from app.web.source import Cited, Part, blocks, find, part_around, part_at
from data.records import Document

TEXT = "# Leave\n\nParents get eighty days.\nThat is a lot.\n\n| Child | Days |\n|---|---|\n| First \\| own | 80 |\n"


def document(text: str, version: int = 1) -> Document:
    facts = {"id": "d1", "uri": "u", "title": "t", "tenant": "t", "collection": "c", "groups": frozenset()}
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Document(text=text, sha256=sha256, version=version, ingested_at=datetime.now(UTC), **facts)


def whole(text: str) -> Part:
    return Part(0, len(text), None, None)


def marked(text: str, start: int, end: int) -> list[str]:
    laid_out = blocks(text, whole(text), (start, end))
    pieces = [p for b in laid_out for p in (*b.pieces, *(p for row in b.rows for cell in row for p in cell))]
    return [p.text for p in pieces if p.is_cited]


def test_headings_text_and_tables_are_told_apart():
    heading, text, table = blocks(TEXT, whole(TEXT))
    assert (heading.kind, heading.level, heading.pieces[0].text) == ("heading", 1, "Leave")
    assert text.pieces[0].text == "Parents get eighty days.\nThat is a lot."
    assert table.has_header
    assert [[cell[0].text for cell in row] for row in table.rows] == [["Child", "Days"], ["First \\| own", "80"]]


def test_the_cited_characters_are_pieces_of_their_own():
    start = TEXT.index("eighty")
    assert marked(TEXT, start, start + 11) == ["eighty days"]


def test_a_citation_that_spans_blocks_is_marked_in_each():
    assert marked(TEXT, TEXT.index("a lot"), TEXT.index(" | Days")) == ["a lot.", "Child"]


def test_a_citation_of_nothing_marks_nothing():
    assert marked(TEXT, 0, 0) == []


@given(st.text(alphabet="ab #|-\\\n", max_size=80), st.data())
def test_what_is_marked_is_what_was_cited_and_nothing_is_invented(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    for piece in marked(text, start, end):
        assert piece in text[start:end]
    letters = [c for b in blocks(text, whole(text)) for p in b.pieces for c in p.text]
    letters += [c for b in blocks(text, whole(text)) for row in b.rows for cell in row for p in cell for c in p.text]
    assert sorted(c for c in letters if c in "ab") == sorted(c for c in text if c in "ab")


def test_a_quote_that_still_stands_is_the_same_in_any_version():
    sha256 = hashlib.sha256(b"Parents").hexdigest()
    cited = Cited(9, 16, version=1, quote_sha256=sha256)
    assert find(document(TEXT), cited).state == "same"
    later = find(document(TEXT + "More.", version=2), cited)
    assert (later.state, later.is_other_version, later.is_marked) == ("same", True, True)


def test_a_quote_that_is_gone_is_not_marked():
    cited = Cited(9, 16, version=1, quote_sha256="0" * 64)
    found = find(document(TEXT, version=2), cited)
    assert (found.state, found.is_other_version, found.is_marked) == ("changed", True, False)


def test_without_a_hash_another_version_is_not_trusted():
    assert find(document(TEXT), Cited(9, 16, version=1)).is_marked
    assert not find(document(TEXT, version=2), Cited(9, 16, version=1)).is_marked


def test_a_place_outside_the_document_is_said_to_be_so():
    assert find(document("short"), Cited(0, 6)).state == "outside"
    assert find(document("short"), Cited(3, 3)).state == "outside"


def test_a_short_document_is_one_part():
    assert part_at(TEXT, 40) == Part(0, len(TEXT), None, None)


def test_the_parts_of_a_long_document_join_at_line_ends_and_lose_nothing(monkeypatch):
    monkeypatch.setattr(source, "WINDOW_CHARS", 1000)
    text = "".join(f"line {n}\n" for n in range(1000))
    part, read = part_at(text, 0), ""
    while True:
        read += text[part.start : part.end]
        if part.after is None:
            break
        assert text[part.after - 1] == "\n"
        part = part_at(text, part.after)
    assert read == text
    assert part.before is not None


def test_the_part_around_a_citation_holds_it(monkeypatch):
    monkeypatch.setattr(source, "WINDOW_CHARS", 1000)
    text = "".join(f"line {n}\n" for n in range(1000))
    for place in (0, 1, 500, 5000, len(text) - 5, len(text) + 100):
        part = part_around(text, place)
        assert part.start <= min(place, len(text)) <= part.end
