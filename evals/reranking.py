"""What reranking changes on a judged collection: the same queries in both orders, question by question. Knows no model: it takes reports."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from data.errors import InvalidInput
from evals.retrieval import RetrievalReport, paired_difference

MEASURES = {"ndcg_at_10": "ndcg", "recall_at_10": "recall", "mrr_at_10": "reciprocal_rank"}


def compare(before: RetrievalReport, after: RetrievalReport, rerank_ms: Sequence[float]) -> dict[str, Any]:
    """Both reports' means, their paired differences with 95 % bootstrap intervals over queries, and what reranking alone took.

    Raises: InvalidInput where the two did not ask the same queries.
    """
    asked = [[row.query_id for row in report.rows] for report in (before, after)]
    if asked[0] != asked[1]:
        raise InvalidInput("The two orders are of different queries.", field="queries")
    return {
        "hybrid": _means(before),
        "reranked": _means(after),
        "difference": {name: _difference(before, after, field) for name, field in MEASURES.items()},
        "better": _count(before, after, 1),
        "worse": _count(before, after, -1),
        "rerank_p50_ms": round(float(np.percentile(rerank_ms, 50)), 3),
        "rerank_p95_ms": round(float(np.percentile(rerank_ms, 95)), 3),
    }


def _means(report: RetrievalReport) -> dict[str, float]:
    return {name: value for name, value in report.measures().items() if name in MEASURES}


def _difference(before: RetrievalReport, after: RetrievalReport, field: str) -> dict[str, Any]:
    found = paired_difference(*([getattr(row, field) for row in report.rows] for report in (after, before)))
    return {"mean": round(found.mean, 5), "interval_95": [round(found.low, 5), round(found.high, 5)]}


def _count(before: RetrievalReport, after: RetrievalReport, sign: int) -> int:
    """Queries whose nDCG@10 moved up (1) or down (-1)."""
    return sum(sign * (b.ndcg - a.ndcg) > 1e-9 for a, b in zip(before.rows, after.rows, strict=True))
