"""A run in numbers: each metric's mean with its interval, errors counted apart, and how far confidence can be trusted.

Errors are never in a mean. A metric without any value has no mean at all.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from data.errors import InvalidInput
from data.records import EvalRow, Score
from evals.scorers.abstention import aurc, calibrated_threshold, risk_coverage
from evals.scoring import Metric
from evals.statistics.clustered import Estimate, clustered_mean

CORRECT = ("exact_match", "citation_recall", "token_recall", "token_f1", "rouge_l", "similarity")
"""The first of these that a run has says which answers are right: those with 0.5 or more."""
RIGHT = 0.5
MISSED = 0.05
EVEN = 1e-12


class MetricSummary(BaseModel):
    """`low` and `high` bound the mean with 95 %, samples of one document taken together; None where it cannot be told.

    Nothing seen in n documents is no proof of nothing: the bound is then what n documents leave room for.
    """

    model_config = ConfigDict(frozen=True)

    mean: float | None
    low: float | None
    high: float | None
    n: int
    n_clusters: int
    n_errors: int
    higher_is_better: bool
    unit: str = ""


class Selective(BaseModel):
    """How risk falls when only the surer answers are given; `threshold` holds `wanted_risk` with 95 % confidence.

    Losses: 1 for an answer to an unanswerable sample or one that `correct_by` puts below 0.5. Abstentions are not answers, so
    the curve ends at `coverage`, the share that was answered.
    """

    model_config = ConfigDict(frozen=True)

    correct_by: str
    n_answers: int
    coverage: float
    risk: float
    aurc: float
    wanted_risk: float
    threshold: float | None
    threshold_coverage: float
    threshold_bound: float | None
    curve: tuple[tuple[float, float, float], ...]
    """(threshold, coverage, risk), the surest first."""


def summarised(rows: Sequence[EvalRow], metrics: Mapping[str, Metric]) -> dict[str, MetricSummary]:
    """In the order of `metrics`."""
    return {name: _summary(_scores(rows, name), metric) for name, metric in metrics.items()}


def selective(rows: Sequence[EvalRow], wanted_risk: float = 0.2) -> Selective | None:
    """None where the target tells no confidence, nothing says what is right, or nothing was answered."""
    by = next((name for name in CORRECT if any(s.value is not None for _, s in _scores(rows, name))), None)
    if by is None:
        return None
    judged = [(row, _loss(row, by)) for row in rows]
    answered = [(row.observation.confidence, loss) for row, loss in judged if loss is not None]
    known = [(confidence, loss) for confidence, loss in answered if confidence is not None]
    n_samples = sum(not row.observation.error for row in rows)
    if not known:
        return None
    confidences, losses = [c for c, _ in known], [loss for _, loss in known]
    curve = risk_coverage(confidences, losses, n_samples)
    best = calibrated_threshold(confidences, losses, wanted_risk)
    is_found = best.coverage > 0
    return Selective(
        correct_by=by,
        n_answers=len(known),
        coverage=round(curve[-1].coverage, 4),
        risk=round(curve[-1].risk, 4),
        aurc=round(aurc(confidences, losses), 4),
        wanted_risk=wanted_risk,
        threshold=best.threshold if is_found else None,
        threshold_coverage=round(best.coverage * len(known) / n_samples, 4),
        threshold_bound=round(best.bound, 4) if is_found else None,
        curve=tuple((round(p.threshold, 4), round(p.coverage, 4), round(p.risk, 4)) for p in curve),
    )


def worst(rows: Iterable[EvalRow], metric: Metric, n: int = 10) -> list[tuple[EvalRow, Score]]:
    """The rows with this metric's worst values, the worst first."""
    scored = [(row, score) for row, score in _scores(rows, metric.name) if score.value is not None]
    scored.sort(key=lambda pair: pair[1].value or 0.0, reverse=not metric.higher_is_better)
    return scored[:n]


def errors(rows: Iterable[EvalRow]) -> Counter[str]:
    """What went wrong and how often: a target's failure once a row, a scorer's by its metric."""
    found: Counter[str] = Counter()
    for row in rows:
        if row.observation.error:
            found[row.observation.error] += 1
        else:
            found.update(f"{score.scorer}: {score.error}" for score in row.scores if score.error)
    return found


def metrics_in(rows: Iterable[EvalRow], known: Mapping[str, Metric]) -> dict[str, Metric]:
    """The metrics that rows hold, with what is known of them: a stored run may have scorers that are gone."""
    names = dict.fromkeys(score.scorer for row in rows for score in row.scores)
    return {name: known.get(name, Metric(name, None, None)) for name in names}


def metric_named(metrics: Mapping[str, Metric], name: str) -> Metric:
    """Raises: InvalidInput, naming those there are."""
    if name not in metrics:
        raise InvalidInput(
            f"The run has no metric {name!r}.", field="metric", next_step=f"It has: {', '.join(metrics)}."
        )
    return metrics[name]


def as_json(rows: Sequence[EvalRow], metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """The whole summary for machines."""
    answers = selective(rows)
    return {
        "metrics": {name: found.model_dump(mode="json") for name, found in summarised(rows, metrics).items()},
        "selective": answers.model_dump(mode="json") if answers else None,
        "errors": dict(errors(rows)),
    }


def _scores(rows: Iterable[EvalRow], name: str) -> list[tuple[EvalRow, Score]]:
    return [(row, score) for row in rows for score in row.scores if score.scorer == name]


def _summary(found: list[tuple[EvalRow, Score]], metric: Metric) -> MetricSummary:
    known = [(score.value, row.cluster) for row, score in found if score.value is not None]
    facts = {
        "n": len(known),
        "n_errors": len(found) - len(known),
        "higher_is_better": metric.higher_is_better,
        "unit": metric.unit,
    }
    if not known:
        return MetricSummary(mean=None, low=None, high=None, n_clusters=0, **facts)
    estimate = clustered_mean([value for value, _ in known], [cluster for _, cluster in known])
    low, high = (
        _unseen(estimate, metric)
        if estimate.standard_error is not None and estimate.standard_error < EVEN
        else (estimate.low, estimate.high)
    )
    return MetricSummary(
        mean=estimate.mean,
        low=_within(low, metric),
        high=_within(high, metric),
        n_clusters=estimate.n_clusters,
        **facts,
    )


def _unseen(estimate: Estimate, metric: Metric) -> tuple[float, float]:
    """The interval where all values are equal: so many documents without an exception leave room for a share of them with 95 %.

    1 - .05^(1/n) of the documents, each as far off as the metric's bounds allow (Hanley and Lippman-Hand 1983, doi:10.1001/jama.1983.03330370053031).
    """
    share = 1 - MISSED ** (1 / estimate.n_clusters)
    low, high = (estimate.mean if end is None else end for end in (metric.low, metric.high))
    return estimate.mean + share * (low - estimate.mean), estimate.mean + share * (high - estimate.mean)


def _within(end: float | None, metric: Metric) -> float | None:
    """An interval's end, cut where no mean can lie."""
    if end is None:
        return None
    above = end if metric.low is None else max(end, metric.low)
    return above if metric.high is None else min(above, metric.high)


def _loss(row: EvalRow, by: str) -> float | None:
    """0 or 1 for an answer; None where there is none, or nothing says whether it is right."""
    answer = row.observation.answer
    if row.observation.error or answer is None or answer.abstained:
        return None
    scores = {score.scorer: score for score in row.scores}
    decided = scores.get("abstention_correct")
    if decided is not None and decided.value == 0.0:
        return 1.0  # it answered, so the sample is unanswerable
    judged = scores.get(by)
    return None if judged is None or judged.value is None else float(judged.value < RIGHT)
