"""The embedded grounder: does a quote support a sentence? Words, numbers and negations; no model. A trained one replaces it later."""

import re
from collections.abc import Sequence

from serving.local.reader import stems

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
NEGATION = re.compile(r"\b(?:not|no|never|none|nothing|neither|nor|cannot|without|\w+n[’']t)\b", re.I)
OTHER_NUMBER = 0.3
OTHER_POLARITY = 0.4


class LexicalGrounder:
    """Share of the sentence's meaning-bearing stems that the quote holds, cut when numbers or polarity disagree."""

    id = "lexical-1"
    threshold = 0.5

    def support(self, sentence: str, quotes: Sequence[str]) -> list[float]:
        """One value from 0 to 1 per quote."""
        said = set(stems(sentence))
        return [self._support(sentence, said, quote) for quote in quotes]

    def _support(self, sentence: str, said: set[str], quote: str) -> float:
        if sentence.strip() and sentence.strip() in quote:
            return 1.0
        if not said:
            return 0.0
        score = len(said & set(stems(quote))) / len(said)
        if not _numbers(sentence) <= _numbers(quote):
            score *= OTHER_NUMBER
        if bool(NEGATION.search(sentence)) != bool(NEGATION.search(quote)):
            score *= OTHER_POLARITY
        return round(score, 4)


def _numbers(text: str) -> set[str]:
    """`1,950` and `1950` are one number."""
    return {THOUSANDS.sub("", number) for number in NUMBER.findall(text)}
