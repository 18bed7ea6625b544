"""Does a quote support a sentence? By words, numbers and negations, or by the grounding adapter over what the words shortlist."""

import re
from collections.abc import Callable, Sequence

from data.words import numbers, stems

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
        if not numbers(sentence) <= numbers(quote):
            score *= OTHER_NUMBER
        if bool(NEGATION.search(sentence)) != bool(NEGATION.search(quote)):
            score *= OTHER_POLARITY
        return round(score, 4)


Supports = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""(premise, hypothesis) pairs to probabilities."""
SHORTLIST = 3


class TrainedGrounder:
    """The adapter reads the quotes that share most words with the sentence; another number than the quote's still counts against it.

    `supports` and its threshold are those of the adapter; support is 0.5 at that threshold.
    """

    threshold = 0.5

    def __init__(self, supports: Supports, threshold: float, adapter_id: str) -> None:
        self._supports, self._at = supports, threshold
        self._words = LexicalGrounder()
        self.id = f"trained-1({adapter_id})"

    def support(self, sentence: str, quotes: Sequence[str]) -> list[float]:
        """One value from 0 to 1 per quote; 0 for those that are not on the shortlist."""
        by_words = self._words.support(sentence, quotes)
        said = sentence.strip()
        out = [1.0 if said and said in quote else 0.0 for quote in quotes]  # word for word needs no reading
        order = sorted((i for i in range(len(quotes)) if by_words[i] > 0 and not out[i]), key=lambda i: -by_words[i])
        near = order[:SHORTLIST]
        judged = self._supports([(quotes[i], sentence) for i in near]) if near else ()
        for i, probability in zip(near, judged, strict=True):
            agrees = numbers(sentence) <= numbers(quotes[i])
            out[i] = round(self._centred(probability) * (1.0 if agrees else OTHER_NUMBER), 4)
        return out

    def _centred(self, probability: float) -> float:
        """Stretch both sides of the adapter's threshold so that it lies at a half."""
        if probability < self._at:
            return probability / self._at / 2
        return 1 - (1 - probability) / (1 - self._at) / 2 if self._at < 1 else probability
