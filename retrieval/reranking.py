"""The `Reranker` port: reorders hits by reading question and chunk together. No model ships behind it yet."""

from collections.abc import Sequence
from typing import Protocol


class Reranker(Protocol):
    id: str

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return one relevance score per text, higher is better, any scale."""
        ...


class OverlapReranker:
    """Deterministic stand-in for tests: the share of the question's words that a text holds."""

    id = "overlap"

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        words = set(question.lower().split())
        return [len(words & set(text.lower().split())) / max(len(words), 1) for text in texts]
