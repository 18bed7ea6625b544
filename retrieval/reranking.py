"""Reranking: hits put in a new order by reading question and chunk together. No model ships behind the port yet."""

from collections.abc import Sequence
from typing import Protocol

from data.records import Hit, StageScore


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


def rerank(question: str, hits: Sequence[Hit], reranker: Reranker, k: int) -> tuple[Hit, ...]:
    """Return the best `k` of `hits` by the reranker's score, equal scores in their former order."""
    scores = reranker.score(question, [hit.chunk.text for hit in hits])
    order = sorted(range(len(hits)), key=lambda i: (-scores[i], i))[:k]
    return tuple(_reranked(hits[i], rank, scores[i]) for rank, i in enumerate(order, 1))


def _reranked(hit: Hit, rank: int, score: float) -> Hit:
    stages = hit.stages | {"rerank": StageScore(rank=rank, score=score)}
    return hit.model_copy(update={"score": score, "stages": stages})
