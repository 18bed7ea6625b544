"""Index health and canaries as monitor values. Nothing of it is left to chance, so it takes no part of the alarm budget."""

from collections.abc import Callable, Sequence
from datetime import datetime

from evals.drift.config import KnowledgeSpec, LanguageWatch
from evals.drift.knowledge import IndexHealth
from evals.drift.records import MonitorValue

Recall = Callable[[KnowledgeSpec], tuple[float, int]]
"""Asks the canary questions: their recall among the first k chunks, and how many questions there are."""

LEAST = {"stale": 0.2, "ghosts": 0.05, "duplicates": 0.3, "without_vector": 0.0}
"""Shares above which somebody should look; never-retrieved chunks are shown and never alarm."""
TOLD = {
    "stale": (
        "documents are older than allowed and their source has changed",
        "Ingest the sources again: assay ingest FOLDER --sync",
    ),
    "ghosts": ("of the chunks that answers were given are no more", "assay doctor; then assay reindex"),
    "duplicates": ("of the chunks say what another one says", "Remove copies: assay documents list"),
    "without_vector": ("of the chunks have no vector, so the dense search cannot find them", "assay reindex"),
    "never_retrieved": ("of the chunks were shown to nobody", "Nothing, or remove what nobody asks for."),
}


def index_values(watch: LanguageWatch, health: IndexHealth, at: datetime) -> list[MonitorValue]:
    if not health.n_chunks:
        return []
    values = []
    for name, (what, action) in TOLD.items():
        share = health.share(name)
        monitor = f"index.{name}"
        least = watch.least.get(monitor, LEAST.get(name))
        values.append(
            MonitorValue(
                monitor=monitor,
                at=at,
                value=share,
                threshold=least,
                least=least or 0.0,
                is_alarm=least is not None and share > least,
                note=f"{share:.1%} {what}.",
                detail={"action": action, "examples": list(health.examples.get(name, ()))},
            )
        )
    return values


def canary_value(
    watch: LanguageWatch, measured: tuple[float, int], before: Sequence[MonitorValue], at: datetime
) -> MonitorValue:
    """Recall of the canaries; `value` is what it lost against the best of earlier checks."""
    recall, n = measured
    best = max((float(v.detail["recall"]) for v in before if "recall" in v.detail), default=recall)
    lost = best - recall
    return MonitorValue(
        monitor="canary.recall",
        at=at,
        value=lost,
        threshold=watch.knowledge.canary_loss,
        least=watch.knowledge.canary_loss,
        is_alarm=lost > watch.knowledge.canary_loss,
        note=f"Recall@{watch.knowledge.canary_k} of {n} canary questions is {recall:.3f}; it was {best:.3f}.",
        detail={
            "recall": recall,
            "n": n,
            "action": "assay doctor; compare with the last snapshot, reindex or roll back the embedder.",
        },
    )
