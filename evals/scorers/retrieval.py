"""Whether the right chunks were found, and early: measured against the (uri, quote) citations of the sample.

A chunk is relevant when it belongs to a cited document and holds the quote. Says nothing of samples without citations, and
nothing of targets that do not tell what they retrieved.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from data.records import Hit, Observation, Sample, Score
from evals.scorers.evidence import coverage, hit_holds, is_document, words
from evals.scoring import Metric


@dataclass(frozen=True)
class RetrievalScorer:
    """retrieval_recall: share of the citations that one of the first k chunks holds.
    ndcg: sum of 1 / log2(1 + rank) over the citations' first ranks, by the largest sum possible (Järvelin & Kekäläinen 2002);
    several citations in one chunk stand at successive ranks, so that 1 is reached and never passed.
    mrr: one over the rank of the first chunk that holds a citation, else 0.
    """

    k: int = 10

    @property
    def id(self) -> str:
        return f"retrieval@1(k={self.k})"

    metrics = (Metric("retrieval_recall"), Metric("ndcg"), Metric("mrr"))

    def score(self, sample: Sample, observation: Observation) -> Sequence[Score]:
        if not sample.citations or not observation.has_hits:
            return []
        hits = observation.hits[: self.k]
        ranks = [_rank(hits, citation) for citation in sample.citations]
        found = sorted(rank for rank in ranks if rank)
        detail = {"ranks": list(ranks)}
        return [
            Score(scorer="retrieval_recall", value=len(found) / len(ranks), detail=detail),
            Score(scorer="ndcg", value=_ndcg(found, len(ranks), self.k)),
            Score(scorer="mrr", value=1 / found[0] if found else 0.0),
        ]


@dataclass(frozen=True)
class ContextScorer:
    """How good the chunks are as a context, without a judge; the definitions follow ragas' context precision and recall.

    context_precision: mean of precision@i over the ranks i of relevant chunks (average precision over what was found).
    context_recall: share of the words of the sample's quotes that stand in chunks of the cited documents.
    """

    id: str = "context@1"
    metrics = (Metric("context_precision"), Metric("context_recall"))

    def score(self, sample: Sample, observation: Observation) -> Sequence[Score]:
        if not sample.citations or not observation.has_hits:
            return []
        relevant = [any(hit_holds(hit, c) for c in sample.citations) for hit in observation.hits]
        precisions = [sum(relevant[:n]) / n for n, is_relevant in enumerate(relevant, 1) if is_relevant]
        quoted = [len(words(quote)) for _, quote in sample.citations]
        held = [_held(observation.hits, citation) * n for citation, n in zip(sample.citations, quoted, strict=True)]
        return [
            Score(scorer="context_precision", value=sum(precisions) / len(precisions) if precisions else 0.0),
            Score(scorer="context_recall", value=sum(held) / sum(quoted) if sum(quoted) else 0.0),
        ]


def _rank(hits: Sequence[Hit], citation: tuple[str, str]) -> int:
    """The rank of the first chunk that holds the citation, from 1; 0 for none."""
    return next((rank for rank, hit in enumerate(hits, 1) if hit_holds(hit, citation)), 0)


def _ndcg(found: Sequence[int], n_wanted: int, k: int) -> float:
    gained = [max(rank, place) for place, rank in enumerate(found, 1)]
    ideal = sum(1 / math.log2(1 + place) for place in range(1, min(n_wanted, k) + 1))
    return min(1.0, sum(1 / math.log2(1 + rank) for rank in gained if rank <= k) / ideal)


def _held(hits: Sequence[Hit], citation: tuple[str, str]) -> float:
    uri, quote = citation
    texts = [hit.chunk.text for hit in hits if any(is_document(source.uri, uri) for source in hit.sources)]
    return max((coverage(text, quote) for text in texts), default=0.0)
