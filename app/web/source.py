"""A document's canonical text laid out for reading, with the cited characters marked. Knows nothing of HTML or HTTP.

Markdown that conversion writes is recognised as far as reading needs it (headings, tables); nothing else is
interpreted, so a link or a picture in the text stays the characters it is written with.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from data.records import Document

WINDOW_CHARS = 200_000
"""A longer document is shown in parts of this size."""
LINE_SLACK = 2000
"""A part begins and ends at a line where one ends within so many characters."""
HEADING = re.compile(r"#{1,6}\s+(?=\S)")
RULE = re.compile(r"\s*\|?[\s:|-]*-[\s:|-]*$")
CELL_BORDER = re.compile(r"(?<!\\)\|")
Kind = Literal["heading", "table", "text"]
Span = tuple[int, int]


@dataclass(frozen=True)
class Piece:
    text: str
    is_cited: bool


Pieces = tuple[Piece, ...]


@dataclass(frozen=True)
class Block:
    """A heading or a stretch of text (`pieces`), or a table (`rows` of cells, the first a header if `has_header`)."""

    kind: Kind
    pieces: Pieces = ()
    rows: tuple[tuple[Pieces, ...], ...] = ()
    has_header: bool = False
    level: int = 0


@dataclass(frozen=True)
class Cited:
    """The place that a citation names, and the version and SHA-256 of the words that stood there."""

    start: int
    end: int
    version: int | None = None
    quote_sha256: str = ""


@dataclass(frozen=True)
class Finding:
    """What became of a citation: `same` (hash agrees), `unchecked` (no hash given), `changed`, or `outside`."""

    state: Literal["same", "unchecked", "changed", "outside"]
    is_other_version: bool

    @property
    def is_marked(self) -> bool:
        return self.state == "same" or (self.state == "unchecked" and not self.is_other_version)


@dataclass(frozen=True)
class Part:
    """The characters `start:end` of a document; `before` and `after` say where the neighbouring parts begin."""

    start: int
    end: int
    before: int | None
    after: int | None


def find(document: Document, cited: Cited) -> Finding:
    """Compare a citation with the document as it is now."""
    other = cited.version is not None and cited.version != document.version
    if not cited.start < cited.end <= len(document.text):
        return Finding("outside", other)
    if not cited.quote_sha256:
        return Finding("unchecked", other)
    stands = hashlib.sha256(document.text[cited.start : cited.end].encode()).hexdigest()
    return Finding("same" if stands == cited.quote_sha256 else "changed", other)


def part_at(text: str, begin: int) -> Part:
    """The part of `text` that starts near `begin`: all of it when it is short."""
    if len(text) <= WINDOW_CHARS:
        return Part(0, len(text), None, None)
    start = _line_start(text, max(0, min(begin, len(text) - 1)))
    end = len(text) if len(text) - start <= WINDOW_CHARS else _line_start(text, start + WINDOW_CHARS)
    return Part(
        start,
        end,
        before=max(0, start - WINDOW_CHARS) if start else None,
        after=end if end < len(text) else None,
    )


def part_around(text: str, place: int) -> Part:
    """The part that has `place` in its first third, so that what leads up to it can be read."""
    return part_at(text, place - WINDOW_CHARS // 3)


def blocks(text: str, part: Part, cited: Span = (0, 0)) -> Iterator[Block]:
    """Lay out a part; characters in `cited` (start, end) come in pieces of their own."""
    for kind, lines in groupby(_lines(text, part), key=lambda line: _kind(text, line)):
        spans = list(lines)
        if kind == "table":
            yield _table(text, spans, cited)
        elif kind == "heading":
            for start, end in spans:
                mark = HEADING.match(text, start, end)
                yield Block(kind, _pieces(text, (mark.end(), end), cited), level=mark[0].count("#"))
        else:
            start, end = spans[0][0], spans[-1][1]
            start = end - len(text[start:end].lstrip("\n"))
            end = start + len(text[start:end].rstrip())
            if start < end:
                yield Block(kind, _pieces(text, (start, end), cited))


def _lines(text: str, part: Part) -> Iterator[Span]:
    """Spans of lines without their line ends."""
    at = part.start
    while at < part.end:
        end = text.find("\n", at, part.end)
        end = part.end if end < 0 else end
        yield at, end
        at = end + 1


def _kind(text: str, line: Span) -> Kind:
    start, end = line
    if text.startswith("|", start, end):
        return "table"
    return "heading" if HEADING.match(text, start, end) else "text"


def _table(text: str, lines: list[Span], cited: Span) -> Block:
    ruled = len(lines) > 1 and RULE.match(text[slice(*lines[1])]) is not None
    rows = tuple(
        tuple(_pieces(text, cell, cited) for cell in _cells(text, line))
        for n, line in enumerate(lines)
        if not (ruled and n == 1)
    )
    return Block("table", rows=rows, has_header=ruled)


def _cells(text: str, line: Span) -> Iterator[Span]:
    start, end = line
    borders = [m.start() for m in CELL_BORDER.finditer(text, start, end)]
    for left, right in zip(borders, [*borders[1:], end], strict=True):
        inside = text[left + 1 : right]
        if right == end and not inside.strip():
            continue  # nothing follows the last border
        lead = len(inside) - len(inside.lstrip())
        yield left + 1 + lead, left + 1 + lead + len(inside.strip())


def _pieces(text: str, span: Span, cited: Span) -> Pieces:
    start, end = span
    low, high = max(start, cited[0]), min(end, cited[1])
    if low >= high:
        return (Piece(text[start:end], False),) if end > start else ()
    cut = ((start, low, False), (low, high, True), (high, end, False))
    return tuple(Piece(text[a:b], is_cited) for a, b, is_cited in cut if b > a)


def _line_start(text: str, at: int) -> int:
    newline = text.rfind("\n", max(0, at - LINE_SLACK), at)
    return at if newline < 0 else newline + 1
