"""What people look at after the verdict: the cases that lost most, and where repeated scores differ. Decides nothing."""

import hashlib
from collections.abc import Mapping, Sequence

from data.records import EvalRow, Observation
from evals.comparison import Pair
from evals.gate_config import goodness
from evals.gate_report import CaseLoss, VarianceReading
from evals.scoring import Metric
from evals.statistics.variance import nested_components

MOST_CASES = 10
MOST_TEXT = 300
LEVELS = ("samples", "retriever", "generator", "judge")


def worst_cases(pairs: Sequence[Pair], metrics: Mapping[str, Metric]) -> list[CaseLoss]:
    """The cases that lost most over all gated metrics together, worst first; only those that lost."""
    found = [case for case in (_case(pair, metrics) for pair in pairs) if case.loss > 0]
    return sorted(found, key=lambda case: (-case.loss, case.sample_id))[:MOST_CASES]


def _case(pair: Pair, metrics: Mapping[str, Metric]) -> CaseLoss:
    scores = {name: pair.values(name) for name in metrics}
    loss = sum(
        goodness(before, metrics[name]) - goodness(after, metrics[name])
        for name, (before, after) in scores.items()
        if before is not None and after is not None
    )
    return CaseLoss(
        sample_id=pair.sample.id,
        cluster=pair.cluster,
        question=_short(pair.sample.question),
        loss=loss,
        scores=scores,
        before=_text(pair.baseline[0].observation),
        after=_text(pair.candidate[0].observation),
    )


def variance_readings(pairs: Sequence[Pair], metrics: Mapping[str, Metric]) -> list[VarianceReading]:
    """Of the candidate's repeated scores; none where nothing was repeated.

    Repeats that retrieved the same chunks share a retrieval, and those among them that gave the same text an answer; what differs
    between scores of one answer is the judge's doing.
    """
    rows = [row for pair in pairs for row in pair.candidate if len(pair.candidate) > 1]
    return [reading for name in metrics if (reading := _variance(rows, name)) is not None]


def _variance(rows: Sequence[EvalRow], metric: str) -> VarianceReading | None:
    scored = [(row, s.value) for row in rows for s in row.scores if s.scorer == metric and s.value is not None]
    if not scored:
        return None
    components = nested_components([value for _, value in scored], [_path(row) for row, _ in scored], LEVELS)
    return VarianceReading(metric=metric, **{c.name: c.variance for c in components})


def _path(row: EvalRow) -> tuple[str, str, str]:
    seen = row.observation
    chunks = "\n".join(hit.chunk.id for hit in seen.hits)
    said = seen.answer.text if seen.answer else ""
    return row.sample_id, *(hashlib.sha256(part.encode("utf-8", "replace")).hexdigest() for part in (chunks, said))


def _text(seen: Observation) -> str:
    if seen.error:
        return f"(error) {_short(seen.error)}"
    if seen.answer is None:
        return ", ".join(hit.chunk.id for hit in seen.hits[:3])
    return _short(seen.answer.text)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= MOST_TEXT else flat[: MOST_TEXT - 1] + "…"
