"""English words and what can be told from their form: grammar or meaning, stems, names, numbers, opposites. Knows no model."""

import re
import threading
from functools import lru_cache
from pathlib import Path

import snowballstemmer

HERE = Path(__file__).parent
FUNCTION_WORDS = frozenset((HERE / "function_words.txt").read_text(encoding="utf-8").split())
_PAIRS = [tuple(line.split()) for line in (HERE / "opposites.txt").read_text(encoding="utf-8").splitlines()]
OPPOSITE = {b: a for a, b in reversed(_PAIRS)} | dict(reversed(_PAIRS))
WORD = re.compile(r"\w+")
NAME = re.compile(r"[A-Z][\w-]*(?: [A-Z][\w-]*)*")
DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")

_OWN = threading.local()
"""A stemmer keeps the word it works on: two threads in one give each other's stems, or an IndexError."""


def stems(text: str) -> list[str]:
    """Stems of the words of `text` that carry meaning."""
    return [_stem(word) for word in WORD.findall(text.lower()) if word not in FUNCTION_WORDS]


def numbers(text: str) -> set[str]:
    """The numbers written in digits: 40 is in `40kg` and not in 1940; `1,950` and `1950` are one."""
    return {THOUSANDS.sub("", number) for number in DIGITS.findall(text)}


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    if not hasattr(_OWN, "stemmer"):
        _OWN.stemmer = snowballstemmer.stemmer("english")
    return _OWN.stemmer.stemWord(word)
