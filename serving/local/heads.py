"""What the shipped adapters say: the span that answers, whether a premise supports a sentence, whether a text is to be kept out.

All of them read through one backbone. Knows no documents and no product; thresholds are those that training chose.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.asked import missing, taken_off
from data.focus import focused
from data.token_recall import token_recall, weighed
from serving.local.adapter_folder import HeadAdapter
from serving.local.backbone import BARE, Backbone, TokenRow
from serving.local.token_rows import Encoded, TokenRows

FOCUSED = "focused"


@dataclass(frozen=True)
class ReadSpan:
    """The best span of one context: its characters, the log-odds against no answer, and the probability that it is one."""

    start: int
    end: int
    text: str
    score: float
    probability: float


class Head:
    """An adapter that reads rows of tokens through the backbone."""

    def __init__(self, backbone: Backbone, tokens: TokenRows, name: str) -> None:
        self._backbone, self._tokens, self.name = backbone, tokens, name

    @property
    def id(self) -> str:
        """Name and digest: what goes into receipts and caches."""
        return f"{self.name}@{self._adapter.digest[:12]}"

    @property
    def threshold(self) -> float:
        return self._adapter.config.threshold

    @property
    def _adapter(self) -> HeadAdapter:
        return self._backbone.adapters[self.name]

    def _rows(self, encoded: Sequence[Encoded]) -> list[TokenRow]:
        depth = self._adapter.config.exit_layer
        return [TokenRow(self.name, one.ids, one.types, depth) for one in encoded]

    def _logits(self, encoded: Sequence[Encoded]) -> list[NDArray[np.float32]]:
        return [self._adapter.logits(states) for states in self._backbone.states(self._rows(encoded))]

    def _probabilities(self, encoded: Sequence[Encoded]) -> list[float]:
        return [first_probability(logits) for logits in self._logits(encoded)]


class SpanReader(Head):
    """Devlin et al. 2019 (arXiv:1810.04805, section 4.3): a start and an end; no answer is the span at [CLS]."""

    def read(self, question: str, contexts: Sequence[str]) -> list[ReadSpan]:
        """The best span of each context, over all windows of a long one."""
        return self.read_pairs([(question, context) for context in contexts])

    def read_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[ReadSpan]:
        """`read` for questions with a context each."""
        out = []
        for (question, context), (start, end, found) in zip(pairs, self._best_spans(pairs), strict=True):
            score = found - self._missed(question, context, start)
            out.append(ReadSpan(start, end, context[start:end], score, self.probability(score)))
        return out

    def log_odds(self, question: str, contexts: Sequence[str]) -> list[float]:
        """That each context holds an answer; 0 at the threshold. For who weighs the question's words himself: what is missing takes
        nothing off."""
        return [self._log_odds(score) for _, _, score in self._best_spans([(question, one) for one in contexts])]

    def _best_spans(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, int, float]]:
        """Characters and score of the best span over all windows of each context."""
        config = self._adapter.config
        windows = [self._tokens.question_windows(*pair, config.max_length, config.stride) for pair in pairs]
        logits = iter(self._logits([window for cut in windows for window in cut]))
        for cut in windows:
            yield max((best_span(window, next(logits), config.max_answer_tokens) for window in cut), key=_score)

    def _missed(self, question: str, context: str, start: int) -> float:
        """What the score loses for things that the question asks for and that do not stand around the span."""
        worth = self._adapter.config.missing
        return taken_off(worth, missing(question, context, start)) if worth else 0.0

    def probability(self, score: float) -> float:
        """That a span with this score answers; a half at the threshold."""
        return float(1 / (1 + np.exp(-self._log_odds(score))))

    def _log_odds(self, score: float) -> float:
        config = self._adapter.config
        return float(np.clip(config.slope * (score - config.threshold), -50, 50))


class GroundingHead(Head):
    """Whether a premise supports a hypothesis: what the adapter says of the two read together, weighed with token recall."""

    def supports(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The probability for each (premise, hypothesis); of a long premise the sentences nearest the hypothesis are read."""
        config = self._adapter.config
        cut = focused if config.premise == FOCUSED else lambda premise, _: premise
        rows = [self._tokens.pair(cut(p, h), h, config.max_length) for p, h in pairs]
        return self._weighed(rows) if config.beside else self._probabilities(rows)

    def _weighed(self, pairs: Sequence[Encoded]) -> list[float]:
        """Token recall is by the encoder itself, each text read alone; one that stands in several pairs is read once."""
        sides = [_apart(pair) for pair in pairs]
        texts = list(dict.fromkeys(ids for both in sides for ids in both))
        alone = [TokenRow(BARE, ids, (0,) * len(ids)) for ids in texts]
        states = self._backbone.states(self._rows(pairs) + alone)  # at once: they need not share a core
        read = {ids: found[1:-1] for ids, found in zip(texts, states[len(pairs) :], strict=True)}
        worth, out = self._adapter.config.beside, []
        for (premise, hypothesis), found in zip(sides, states[: len(pairs)], strict=True):
            said = first_probability(self._adapter.logits(found))
            out.append(weighed(worth, said, token_recall(read[hypothesis], read[premise])))
        return out


class TextScreen(Head):
    """Whether a text is what is looked for: toxic, giving orders."""

    def probabilities(self, texts: Sequence[str]) -> list[float]:
        """The highest over the windows of each text."""
        windows = [self._tokens.windows(text, self._adapter.config.max_length) for text in texts]
        found = iter(self._probabilities([window for cut in windows for window in cut]))
        return [max(next(found) for _ in cut) for cut in windows]


def first_probability(logits: NDArray[np.float32]) -> float:
    """Of the first label, which is what was looked for in training."""
    return float(1 / np.exp(logits - logits[0]).sum())


def best_span(window: Encoded, logits: NDArray[np.float32], most_tokens: int) -> tuple[int, int, float]:
    """Characters and score of the span with the highest summed logits [tokens, 2]; the score is what it exceeds no answer by."""
    n = len(window.offsets)
    if not n:
        return 0, 0, float("-inf")
    starts, ends = logits[window.first : window.first + n].T
    sums = np.full((min(most_tokens, n), n), -np.inf, np.float32)
    for length in range(len(sums)):  # ends `length` tokens after its start
        sums[length, : n - length] = starts[: n - length] + ends[length:]
    length, first = np.unravel_index(int(sums.argmax()), sums.shape)
    score = float(sums[length, first]) - float(logits[0].sum())
    return window.offsets[first][0], window.offsets[first + length][1], score


def _apart(row: Encoded) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The token ids of a pair's two texts, each as it is read alone."""
    return row.ids[: row.first], row.ids[:1] + row.ids[row.first :]


def _score(span: tuple[int, int, float]) -> float:
    return span[2]
