"""The blocks of a canonical text: headings, paragraphs, lists, tables and fenced code, with exact offsets.

Reads the Markdown that document converters emit and plain text alike (a line-based subset of CommonMark, with
tables). Knows nothing of tokens or chunks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_ATX = re.compile(r" {0,3}(#{1,6})[ \t]")
_SETEXT = re.compile(r" {0,3}(=|-)\1{2,}\s*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^`]*)$")
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,9}[.)])[ \t]+\S")
_SLIDE = re.compile(r"\s*<!-- Slide number: \d+ -->\s*$")
_MAX_TITLE = 200
_MAX_FRONT_MATTER_LINES = 100


class Kind(StrEnum):
    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """`text[start:end]`, whole lines. `level` and `title` belong to headings (level 0: ends every open section)."""

    kind: Kind
    start: int
    end: int
    level: int = 0
    title: str = ""


class _Line(NamedTuple):
    start: int
    end: int
    text: str

    @property
    def is_blank(self) -> bool:
        return not self.text or self.text.isspace()


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of `text` in order. They do not overlap, and every non-blank character lies in one."""
    lines = list(_lines(text))
    at = 0
    while at < len(lines):
        if lines[at].is_blank:
            at += 1
            continue
        kind, after, level, title = _next_block(lines, at)
        yield Block(kind, lines[at].start, lines[after - 1].end, level, title)
        at = after


def is_item(line: str) -> bool:
    """Whether a list item begins on this line."""
    return _ITEM.match(line) is not None


def is_delimiter_row(line: str) -> bool:
    """Whether this line is the `| --- | --- |` under a table's column names."""
    return "|" in line and "-" in line and set(line) <= set("|:- \t\r\n")


def _lines(text: str) -> Iterator[_Line]:
    start = 0  # not splitlines(): it also breaks at form feeds and other characters that end no line here
    while start < len(text):
        newline = text.find("\n", start)
        end = len(text) if newline < 0 else newline + 1
        yield _Line(start, end, text[start:end].rstrip("\r\n"))
        start = end


def _next_block(lines: list[_Line], at: int) -> tuple[Kind, int, int, str]:
    """Return (kind, index of the line after the block, heading level, heading title)."""
    line = lines[at].text
    if at == 0 and line.rstrip() == "---" and (after := _after_front_matter(lines)):
        return Kind.CODE, after, 0, ""
    if _SLIDE.match(line):
        return Kind.HEADING, at + 1, 0, ""
    if heading := _atx(line):
        return Kind.HEADING, at + 1, *heading
    if fence := _FENCE.match(line):
        return Kind.CODE, _after_fence(lines, at, fence[1]), 0, ""
    if _starts_table(lines, at):
        return Kind.TABLE, _after_table(lines, at + 1), 0, ""
    if is_item(line):
        return Kind.LIST, _after_list(lines, at), 0, ""
    if at + 1 < len(lines) and len(line) <= _MAX_TITLE and (underline := _SETEXT.match(lines[at + 1].text)):
        return Kind.HEADING, at + 2, 1 if underline[1] == "=" else 2, line.strip()
    return Kind.PARAGRAPH, _after_paragraph(lines, at), 0, ""


def _atx(line: str) -> tuple[int, str] | None:
    match = _ATX.match(line)
    if match is None:
        return None
    title = line[match.end() :].strip()
    if title.rstrip("#").endswith((" ", "\t")):  # the optional closing sequence: "## Title ##"
        title = title.rstrip("#").rstrip()
    title = title.strip("*_ ")[:_MAX_TITLE]
    return (len(match[1]), title) if title.strip("#") else None


def _after_front_matter(lines: list[_Line]) -> int:
    for index in range(1, min(len(lines), _MAX_FRONT_MATTER_LINES)):
        if lines[index].text.rstrip() == "---":
            return index + 1
    return 0


def _after_fence(lines: list[_Line], at: int, fence: str) -> int:
    closing = re.compile(rf" {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}\s*$")
    for index in range(at + 1, len(lines)):
        if closing.match(lines[index].text):
            return index + 1
    return len(lines)


def _starts_table(lines: list[_Line], at: int) -> bool:
    if lines[at].text.lstrip().startswith("|"):
        return True
    return "|" in lines[at].text and at + 1 < len(lines) and is_delimiter_row(lines[at + 1].text)


def _after_table(lines: list[_Line], at: int) -> int:
    while at < len(lines) and "|" in lines[at].text:
        at += 1
    return at


def _interrupts(lines: list[_Line], at: int) -> bool:
    text = lines[at].text
    return bool(_atx(text) or _FENCE.match(text) or _SLIDE.match(text) or _starts_table(lines, at))


def _after_list(lines: list[_Line], at: int) -> int:
    at += 1
    while at < len(lines):
        if lines[at].is_blank:
            following = at
            while following < len(lines) and lines[following].is_blank:
                following += 1
            if following == len(lines) or not (
                is_item(lines[following].text) or lines[following].text.startswith(("  ", "\t"))
            ):
                return at
            at = following
        elif _interrupts(lines, at):
            return at
        else:
            at += 1
    return at


def _after_paragraph(lines: list[_Line], at: int) -> int:
    at += 1
    while at < len(lines) and not lines[at].is_blank and not _interrupts(lines, at) and not is_item(lines[at].text):
        at += 1
    return at
