"""What of a chunk can be quoted on its own: sentences, list items, table rows. Offsets are the chunk's own.

A row says little without its columns, and a sentence little without its heading: both are given along.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from data.records import Chunk
from data.sentences import sentence_spans

HEADING = re.compile(r"#{1,6}\s+")
COMMENT = re.compile(r"<!--.*-->")
ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s+")
RULE = re.compile(r"[\s|:\-=]+")
QUOTE_MARK = re.compile(r"(?:\s*>)+\s?")
SHORT_LINE = 60
"""A line this short with no full stop, before a line that begins anew, is a title or a signature, not a hard wrap."""


@dataclass(frozen=True)
class Unit:
    """`chunk.text[start:end]` is what would be quoted; `said` is the same as running text, a row with its columns' names."""

    start: int
    end: int
    said: str
    heading: str = ""
    """The nearest heading above it in the chunk, marked as one or not."""
    is_title: bool = False
    """Whether it is a short line that stands over others: it names what follows and answers nothing."""


@dataclass(frozen=True)
class _Line:
    """`start` and `end` surround exactly `text`, which has no blanks around it."""

    start: int
    end: int
    text: str

    @property
    def is_row(self) -> bool:
        return self.text.startswith("|")

    @property
    def is_rule(self) -> bool:
        return RULE.fullmatch(self.text) is not None

    @property
    def is_running_text(self) -> bool:
        marked = self.is_row or any(p.match(self.text) for p in (HEADING, ITEM, COMMENT))
        return re.search(r"\w", self.text) is not None and not marked

    @property
    def ends_sentence(self) -> bool:
        return self.text.rstrip("\"'”’)*_").endswith((".", "!", "?", ":", ";", ",", "。", "！", "？"))

    @property
    def begins_anew(self) -> bool:
        return self.text[0].isupper() or self.text[0].isdigit()


def units(chunk: Chunk) -> Iterator[Unit]:
    """Yield what can be quoted from a chunk, in order."""
    heading, columns = "", _columns_of(chunk)
    for is_running, group in groupby(_lines(chunk.text), lambda line: line.is_running_text):
        lines = list(group)
        if is_running:
            for unit in _paragraph(chunk.text, lines, heading):
                heading = unit.said if unit.is_title else heading
                yield unit
            continue
        for n, line in enumerate(lines):
            if HEADING.match(line.text):
                heading = HEADING.sub("", line.text).rstrip("# ")
            elif ITEM.match(line.text):
                yield Unit(line.start, line.end, ITEM.sub("", line.text), heading)
            elif line.is_row and not line.is_rule:
                below = lines[n + 1] if n + 1 < len(lines) else None
                if _is_header(below, columns):
                    columns = _cells(line.text)
                else:
                    yield Unit(line.start, line.end, _row(line.text, columns), heading)
            elif line.is_row and not columns:
                columns = ("",) * len(
                    _cells(line.text)
                )  # a rule under an empty row: the first full row names the columns


def headings(chunk: Chunk) -> tuple[str, ...]:
    """The heading path, without the names of columns that the chunks of a cut table carry as its last part."""
    return chunk.heading_path[:-1] if _columns_of(chunk) else chunk.heading_path


def _columns_of(chunk: Chunk) -> tuple[str, ...]:
    last = chunk.heading_path[-1] if chunk.heading_path else ""
    return tuple(cell.strip() for cell in last.split(" | ")) if " | " in last else ()


def _lines(text: str) -> Iterator[_Line]:
    at = 0
    for raw in text.splitlines(keepends=True):
        stripped = raw.strip()
        start = at + raw.index(stripped)
        yield _Line(start, start + len(stripped), stripped)
        at += len(raw)


def _paragraph(text: str, lines: Sequence[_Line], heading: str) -> Iterator[Unit]:
    """The sentences of lines without blanks between them, which may be hard-wrapped, titled or a list without bullets."""
    for first, last in _runs(lines):
        is_title = first is last and _stands_alone(first) and not re.search(r"\d", first.text) and not _is_list(lines)
        for start, end in sentence_spans(text, first.start, last.end):
            said = QUOTE_MARK.sub("", " ".join(text[start:end].split()))
            yield Unit(start, end, said, heading, is_title)
            heading = said if is_title else heading


def _runs(lines: Sequence[_Line]) -> Iterator[tuple[_Line, _Line]]:
    """First and last lines of what belongs together: a list's lines one by one, a title alone, wrapped lines joined."""
    is_list, first = _is_list(lines), lines[0]
    for above, line, below in zip([lines[0], *lines], lines, lines[1:], strict=False):
        is_title = _stands_alone(line) and below.begins_anew
        if is_title and first is not line and above.ends_sentence:
            yield first, above
            first = line
        if is_list or is_title:
            yield first, line
            first = below
    yield first, lines[-1]


def _is_list(lines: Sequence[_Line]) -> bool:
    return len(lines) > 1 and all(line.begins_anew and not line.ends_sentence for line in lines)


def _stands_alone(line: _Line) -> bool:
    return len(line.text) < SHORT_LINE and not line.ends_sentence


def _is_header(below: _Line | None, columns: Sequence[str]) -> bool:
    return (below is not None and below.is_row and below.is_rule) or (bool(columns) and not any(columns))


def _cells(row: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in row.strip().strip("|").split("|"))


def _row(row: str, columns: Sequence[str]) -> str:
    cells = _cells(row)
    if len(columns) != len(cells):
        return ", ".join(filter(None, cells))
    return ", ".join(f"{name}: {cell}" if name else cell for name, cell in zip(columns, cells, strict=True) if cell)
