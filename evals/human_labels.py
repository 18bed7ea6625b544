"""A few human scores beside a judge's many: what the judge's bias may explain proves nothing.

A label file has one JSON object a line: {"sample": "handbook-001", "arm": "candidate", "metric": "faithfulness", "value": 1}. Label
both arms of cases drawn at random.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.errors import InvalidInput
from data.records import Outcome
from evals.comparison import Pair
from evals.gate_report import Correction, GateReading
from evals.scoring import Metric
from evals.statistics.prediction_powered import Judged, corrected_mean

Labels = Mapping[tuple[str, str, str], float]
"""(sample, arm, metric) -> value."""


class _Label(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sample: str
    arm: Literal["baseline", "candidate"]
    metric: str
    value: float = Field(allow_inf_nan=False)


def load_labels(path: Path) -> Labels:
    """Raises: InvalidInput naming every wrong line."""
    found: dict[tuple[str, str, str], float] = {}
    problems = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The labels {path} cannot be read: {error}", field="labels") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            label = _Label.model_validate_json(line)
        except ValidationError as error:
            problems.append(f"line {number}: " + "; ".join(f"{_place(e)}{e['msg']}" for e in error.errors()))
            continue
        found[label.sample, label.arm, label.metric] = label.value
    if problems:
        raise InvalidInput(
            f"{path}: " + "; ".join(problems[:10]) + ".",
            field="labels",
            next_step='A line is {"sample": "..", "arm": "baseline" or "candidate", "metric": "..", "value": 0.5}.',
        )
    return found


def corrected_readings(
    readings: Sequence[GateReading], pairs: Sequence[Pair], metrics: Mapping[str, Metric], labels: Labels, alpha: float
) -> list[GateReading]:
    """Readings with the difference that people would see; a verdict on it that it does not bear out becomes inconclusive.

    What failed for its limit stays failed: the labels say nothing of it.
    """
    return [_corrected(reading, pairs, metrics[reading.metric], labels, alpha) for reading in readings]


def _corrected(
    reading: GateReading, pairs: Sequence[Pair], metric: Metric, labels: Labels, alpha: float
) -> GateReading:
    cases = [case for pair in pairs if (case := _judged(pair, metric.name, labels)) is not None]
    if len({case.cluster for case in cases if case.human is not None}) < 2:
        return reading
    found = corrected_mean(cases)
    correction = Correction(
        difference=found.estimate.mean,
        low=found.estimate.low,
        high=found.estimate.high,
        weight=found.weight,
        n_labels=found.n_labels,
    )
    is_beyond_limit = reading.p_below is not None and reading.p_below <= alpha
    update = {"corrected": correction} | ({} if is_beyond_limit else _doubted(reading, correction, metric))
    return reading.model_copy(update=update)


def _doubted(reading: GateReading, found: Correction, metric: Metric) -> dict[str, object]:
    worst, best = (found.low, found.high) if metric.higher_is_better else (-found.high, -found.low)
    if reading.margin is not None and reading.outcome is Outcome.PASS and worst <= -reading.margin:
        told = f"the labels allow a loss of {-worst:.3g}, which is the margin {reading.margin:g} or more"
    elif reading.margin is not None and reading.outcome is Outcome.FAIL and best >= 0:
        told = "the labels allow that nothing got worse"
    else:
        return {}
    return {"outcome": Outcome.INCONCLUSIVE, "why": f"{reading.why}; but {told}"}


def _judged(pair: Pair, metric: str, labels: Labels) -> Judged | None:
    before, after = pair.values(metric)
    if before is None or after is None:
        return None
    human = [labels.get((pair.sample.id, arm, metric)) for arm in ("baseline", "candidate")]
    return Judged(after - before, None if None in human else human[1] - human[0], pair.cluster)


def _place(error: Mapping) -> str:
    place = ".".join(map(str, error["loc"]))
    return f"{place}: " if place else ""
