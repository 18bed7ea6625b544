"""Reranking: the first hits put in a new order by what speaks for each beside its fused score.

A question may point at single chunks, or be about what many chunks are about; how far its words single candidates out tells which
(`question_words.pointedness`). In the first case the words a chunk holds count, and what a model says that reads question and chunk
together; in the second, what the chunk's neighbours say. The model reads for questions alone: claims and titles are nothing that a
chunk could answer. Figures: docs/decisions/0008-reranker.md.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from data.records import Hit, StageScore
from retrieval.neighbours import standard
from retrieval.question_words import Floats, coverage, is_question, pointedness

COVERAGE_WEIGHT, NEIGHBOUR_WEIGHT, READING_WEIGHT = 0.2, 2.0, 0.8
"""Beside the fused score's 1; all in standard deviations but for the model's score, which is taken as it is."""
READ_FROM = 0.2
"""A question that points less than this at single hits is not read for: on average it would change nothing."""
SCORE_DECIMALS = 3


class Reranker(Protocol):
    id: str

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return one relevance score per text, higher is better, on the scale of log-odds."""
        ...


class OverlapReranker:
    """Deterministic stand-in for tests: the share of the question's words that a text holds."""

    id = "overlap"

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        words = set(question.lower().split())
        return [len(words & set(text.lower().split())) / max(len(words), 1) for text in texts]


def rerank(question: str, hits: Sequence[Hit], reranker: Reranker, k: int, reads: int = 16) -> tuple[Hit, ...]:
    """Return the best `k` of `hits`, equal ones in their former order. The reranker reads the `reads` likeliest.

    Hits bring their neighbours' word as stage `neighbours`, where the search was asked for it.
    """
    if not hits:
        return ()
    covered = coverage(question, [_told(hit) for hit in hits])
    points = pointedness(covered)
    scores = standard(np.array([hit.score for hit in hits])) + points * COVERAGE_WEIGHT * standard(covered)
    scores += (1 - points) * NEIGHBOUR_WEIGHT * np.array([_from_neighbours(hit) for hit in hits])
    likeliest = np.argsort(-scores, kind="stable")[:reads].tolist()
    if likeliest and points >= READ_FROM and is_question(question):
        scores += points * READING_WEIGHT * _read(question, hits, likeliest, reranker)
    order = sorted(range(len(hits)), key=lambda i: (-round(float(scores[i]), SCORE_DECIMALS), i))[:k]
    return tuple(_reranked(hits[i], rank, float(scores[i])) for rank, i in enumerate(order, 1))


def _read(question: str, hits: Sequence[Hit], likeliest: Sequence[int], reranker: Reranker) -> Floats:
    """The model's scores; what it did not read counts as much as the worst that it did."""
    read = reranker.score(question, [hits[i].chunk.text for i in likeliest])
    out = np.full(len(hits), min(read))
    out[likeliest] = read
    return out - out.mean()


def _from_neighbours(hit: Hit) -> float:
    return hit.stages["neighbours"].score if "neighbours" in hit.stages else 0.0


def _told(hit: Hit) -> str:
    """What a search knows a chunk by: title and headings count as its words."""
    titles = [source.title for source in hit.sources[:1]]
    return "\n".join([*titles, *hit.chunk.heading_path, hit.chunk.text])


def _reranked(hit: Hit, rank: int, score: float) -> Hit:
    score = round(score, SCORE_DECIMALS)
    stages = hit.stages | {"rerank": StageScore(rank=rank, score=score)}
    return hit.model_copy(update={"score": score, "stages": stages})
