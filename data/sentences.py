"""Where sentences end: rules for text with Western or CJK punctuation, exact offsets, no model.

`abbreviations.txt` lists words whose full stop does not end a sentence ("Dr."), with a `#` where that holds only before
a number ("no. 7").
"""

import re
from collections.abc import Iterator
from pathlib import Path

_LINES = (Path(__file__).parent / "abbreviations.txt").read_text(encoding="utf-8").splitlines()
ABBREVIATIONS = frozenset(line for line in _LINES if "#" not in line)
BEFORE_NUMBERS = frozenset(line.removesuffix("#").strip() for line in _LINES if "#" in line)

_WIDE_STOP = "。！？｡"
_END = re.compile(rf"(?<![.!?…])[.!?…]++[\"'”’)\]*_]*+(?=\s)|[{_WIDE_STOP}]++[」』”’）]*+")
_LAST_WORD = re.compile(r"[\w.]+$")
_LOOK_BACK = 24
"""Characters read before a full stop to find its word; no abbreviation is longer."""


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each sentence of `text[start:end]`, in order and without surrounding whitespace.

    Every non-blank character lies in exactly one span. Linear in the length of the text.
    """
    end = len(text) if end is None else end
    begin = start
    for match in _END.finditer(text, start, end):
        if _ends_sentence(text, match, end):
            yield from _stripped(text, begin, match.end())
            begin = match.end()
    yield from _stripped(text, begin, end)


def _ends_sentence(text: str, match: re.Match[str], end: int) -> bool:
    if match[0][0] in _WIDE_STOP:
        return True
    following = _next_visible(text, match.end(), end)
    if following.islower() or following in ",;:":
        return False
    if match[0] != ".":
        return True
    word = _LAST_WORD.search(text, max(0, match.start() - _LOOK_BACK), match.start())
    if word is None:
        return True
    is_initial = len(word[0]) == 1 and word[0].isupper()  # "J. Marsh"
    is_held = word[0].lower() in ABBREVIATIONS or (word[0].lower() in BEFORE_NUMBERS and following.isdigit())
    return not (is_initial or is_held)


def _next_visible(text: str, at: int, end: int) -> str:
    while at < end and text[at].isspace():
        at += 1
    return text[at] if at < end else "\n"


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
