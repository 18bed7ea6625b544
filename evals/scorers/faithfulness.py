"""faithfulness: the share of an answer's sentences that their sources support, by a model of one's own and without a judge.

Each sentence is a hypothesis; its premises are what it cites (or all that was retrieved), one by one and, where it cites
several, together: the best counts. A sentence that cites nothing is supported by nothing.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from data.records import Observation, Sample, Score, Sentence
from evals.scoring import Metric

Supports = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""(premise, hypothesis) pairs to probabilities that the premise supports the hypothesis."""
LONGEST_TOLD = 5
"""Unsupported sentences named in the detail."""


class FaithfulnessScorer:
    """`against="retrieved"` also suits targets that cite nothing, and is what ragas' metric of the same name looks at."""

    def __init__(
        self, supports: Supports, threshold: float = 0.5, against: Literal["cited", "retrieved"] = "cited"
    ) -> None:
        self._supports = supports
        self._threshold = threshold
        self._against = against
        self.id = f"faithfulness@1({getattr(supports, 'id', '')},{threshold},{against})"
        self.metrics = (Metric("faithfulness"),)

    def score(self, sample: Sample, observation: Observation) -> Sequence[Score]:
        answer = observation.answer
        if answer is None or answer.abstained or not answer.sentences:
            return []
        premises = [self._premises(sentence, observation) for sentence in answer.sentences]
        pairs = [(p, s.text) for s, of in zip(answer.sentences, premises, strict=True) for p in of]
        values = list(self._supports(pairs)) if pairs else []
        if len(values) != len(pairs) or not all(math.isfinite(value) for value in values):
            problem = f"the grounding model gave {len(values)} values for {len(pairs)} pairs, or one that is no number"
            return [Score(scorer="faithfulness", value=None, error=problem)]
        best, left = [], iter(values)
        for of in premises:
            best.append(max((next(left) for _ in of), default=0.0))
        wrong = [s.text for s, value in zip(answer.sentences, best, strict=True) if value < self._threshold]
        detail = {"n_sentences": len(best), "unsupported": wrong[:LONGEST_TOLD], "weakest": round(min(best), 4)}
        return [Score(scorer="faithfulness", value=1 - len(wrong) / len(best), detail=detail)]

    def _premises(self, sentence: Sentence, seen: Observation) -> list[str]:
        if self._against == "retrieved":
            return [hit.chunk.text for hit in seen.hits]
        quotes = list(dict.fromkeys(citation.quote for citation in sentence.citations))
        return [*quotes, "\n".join(quotes)] if len(quotes) > 1 else quotes
