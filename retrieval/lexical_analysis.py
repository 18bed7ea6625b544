"""How texts and questions become index terms. Knows nothing of indexes.

Words are lower-cased, folded to ASCII and reduced to their English (Snowball) stem; ideographs, kana and Thai
letters are terms of their own, since those scripts put no spaces between words. Nothing is dropped: the function
words of a question count a fraction instead, so that "to be or not to be" still finds something.
"""

from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from tantivy import Filter, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

ANALYSER = "english-1"
"""Stored in every index. Change it with the analysis: indexes made with another one are then rebuilt."""

MAX_TERM_BYTES = 128
MAX_QUERY_TERMS = 256
FUNCTION_WORD_WEIGHT = 0.2
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
TERM = rf"[{UNSPACED}]|[[\p{{L}}\p{{N}}\p{{M}}]--[{UNSPACED}]]+"


@cache
def document_analyser() -> TextAnalyzer:
    """The analyser of the index: text to stems."""
    return _words().filter(Filter.stemmer("english")).build()


@lru_cache(maxsize=256)  # one search asks twice
def query_weights(text: str) -> Mapping[str, float]:
    """Return the weight of each stem of a question: its count, function words counted `FUNCTION_WORD_WEIGHT` each.

    Counting matters: without it nDCG@10 on CISI's long questions falls by 0.07 (docs/decisions/0004-fusion.md).
    At most `MAX_QUERY_TERMS` stems, those of content words and then those that come first. Any text will do.
    """
    words = _word_analyser().analyze(text.encode("utf-8", "replace").decode())
    rare, common = Counter(), Counter()
    for word in words:
        (common if word in _function_words() else rare).update(_stem(word))
    weights = {stem: float(n) for stem, n in rare.items()}
    for stem, n in common.items():
        weights[stem] = weights.get(stem, 0.0) + FUNCTION_WORD_WEIGHT * n
    return dict(list(weights.items())[:MAX_QUERY_TERMS])


def _words() -> TextAnalyzerBuilder:
    return (
        TextAnalyzerBuilder(Tokenizer.regex(TERM))
        .filter(Filter.remove_long(MAX_TERM_BYTES))
        .filter(Filter.lowercase())
        .filter(Filter.ascii_fold())
    )


@cache
def _word_analyser() -> TextAnalyzer:
    return _words().build()


@cache
def _stemmer() -> TextAnalyzer:
    return TextAnalyzerBuilder(Tokenizer.raw()).filter(Filter.stemmer("english")).build()


def _stem(word: str) -> list[str]:
    return _stemmer().analyze(word)


@cache
def _function_words() -> frozenset[str]:
    lines = (Path(__file__).parent / "function_words_english.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
