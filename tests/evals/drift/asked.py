"""Windows of made-up questions: a few topics in a space of 24 dimensions, as the request log gives them. Imported by tests."""

from datetime import UTC, datetime, timedelta

import numpy as np

from evals.drift.config import LanguageWatch, parse_watch
from evals.drift.knowledge import Knowledge
from evals.drift.requests import RequestWindow

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
TOPICS = ("leave", "tea", "vans", "visas")
WORDS = {
    "leave": "How many weeks of parental leave",
    "tea": "Is tea free in the kitchen",
    "vans": "Who repairs the vans",
    "visas": "Who sponsors a work visa",
}
CENTRES = np.linalg.qr(np.random.default_rng(7).standard_normal((24, 24)))[0][: len(TOPICS)]


def vectors(topics: list[str], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = CENTRES[[TOPICS.index(topic) for topic in topics]] + 0.12 * rng.standard_normal((len(topics), 24))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def window(
    n: int, seed: int, *, new: float = 0.0, start: datetime = MONDAY, days: float = 7, slow: float = 1.0
) -> RequestWindow:
    """`new`: the share of questions about visas, which are not answered; `slow` multiplies the latency."""
    rng = np.random.default_rng(seed)
    topics = ["visas" if rng.random() < new else TOPICS[int(rng.integers(3))] for _ in range(n)]
    is_new = np.array([topic == "visas" for topic in topics])
    abstained = (is_new | (rng.random(n) < 0.05)).astype(float)
    nothing = np.full(n, np.nan)
    return RequestWindow(
        at=tuple(start + timedelta(days=days * k / n) for k in range(n)),
        questions=tuple(f"{WORDS[topic]} {k}?" for k, topic in enumerate(topics)),
        vectors=vectors(topics, seed + 1000),
        embedder="e",
        numbers={
            "similarity": np.where(is_new, 0.2, 0.8) + 0.05 * rng.standard_normal(n),
            "score": nothing,
            "score_gap": nothing,
            "abstained": abstained,
            "support": np.where(abstained > 0, np.nan, 1.0),
            "length": np.where(abstained > 0, np.nan, rng.lognormal(4, 0.3, n)),
            "latency_ms": rng.lognormal(3, 0.3, n) * slow,
            "tokens": nothing,
            "toxicity": nothing,
            "thumbs_down": nothing,
        },
        chunk_ids=tuple(("doc#0",) for _ in range(n)),
        receipt_ids=tuple(f"r{seed}-{k}" for k in range(n)),
    )


def watch(**changes) -> LanguageWatch:
    found = parse_watch({"name": "questions", "kind": "language", "evidently": False} | changes)
    assert isinstance(found, LanguageWatch)
    return found


def knowledge() -> Knowledge:
    """Chunks about everything but visas."""
    held = vectors(["leave", "tea", "vans"] * 5, 99)
    return Knowledge(tuple(f"doc#{k}" for k in range(len(held))), held)
