"""What a suite's YAML says of its gates: margins, floors, error rates. Knows no data and no statistics.

A missing or NaN threshold is refused, and everything that is wrong is said at once.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from data.errors import InvalidInput
from evals.scoring import Metric

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
THRESHOLDS = ("margin", "tolerance", "floor", "ceiling", "bounds")


class GateConfig(BaseModel):
    """One metric that must not get worse, must not be bad, or both. All numbers are in the metric's own unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    metric: str = Field(min_length=1)
    margin: Number | None = Field(None, gt=0)
    """Non-inferiority margin: passing needs proof that the candidate is worse by less than this."""
    tolerance: Number | None = Field(None, ge=0)
    """Failing needs proof of being worse at all, and an observed loss of at least this; half the margin by default."""
    floor: Number | None = None
    """The candidate's mean must be above this, whatever the baseline's is (metrics where more is better)."""
    ceiling: Number | None = None
    """The candidate's mean must be below this (metrics where less is better)."""
    bounds: tuple[Number, Number] | None = None
    """Range of a metric that has none of its own, such as milliseconds; what lies outside counts as the bound."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_empty(cls, given: object) -> object:
        if isinstance(given, Mapping):
            empty = [name for name in THRESHOLDS if name in given and given[name] is None]
            if empty:
                raise ValueError(f"{', '.join(empty)} is empty; write a number, or leave the line out")
        return given

    @field_validator("bounds")
    @classmethod
    def _ascending(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and bounds[0] >= bounds[1]:
            raise ValueError("the first bound must be below the second")
        return bounds

    @model_validator(mode="after")
    def _something_to_hold(self) -> "GateConfig":
        if self.margin is None and self.floor is None and self.ceiling is None:
            raise ValueError(f"the gate on {self.metric} needs a margin, a floor or a ceiling")
        if self.tolerance is not None and self.margin is None:
            raise ValueError(f"the gate on {self.metric} has a tolerance but no margin")
        if self.tolerance is not None and self.tolerance >= self.margin:
            raise ValueError(f"the tolerance {self.tolerance} must be below the margin {self.margin}")
        return self

    @property
    def least_loss(self) -> float:
        """The observed loss from which on a proven regression fails."""
        return (self.margin or 0.0) / 2 if self.tolerance is None else self.tolerance

    @property
    def looks_closer(self) -> bool:
        """Whether losses well within the margin are to be found: then a pass is no reason to stop asking early."""
        return self.margin is not None and self.least_loss < self.margin / 2


class GateRules(BaseModel):
    """How sure the gate must be, and what it does about errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    alpha: Number = Field(0.05, gt=0, lt=0.5)
    """Probability that a candidate which is no worse fails (all gates together), and that one beyond a margin passes."""
    power: Number = Field(0.8, gt=0.5, lt=1)
    """How surely the regression must be caught that is called detectable."""
    max_error_share: Number = Field(0.05, ge=0, lt=1)
    """More cases than this that ended in an error, in either arm: the answer is "infrastructure", whatever the scores say."""
    max_unpaired_share: Number = Field(0.2, ge=0, lt=1)
    """More cases than this where only one arm has a value (the other abstained, say): the difference proves nothing."""
    seed: int = Field(0, ge=0)
    """Of the random order in which clusters are asked."""


def checked(gates: Iterable[GateConfig], metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """The metric of each gate, with the gate's bounds. Raises: InvalidInput naming everything that does not fit, at once."""
    gates = tuple(gates)
    named = [gate.metric for gate in gates]
    problems = [f"{name} is gated twice" for name in sorted({n for n in named if named.count(n) > 1})]
    found: dict[str, Metric] = {}
    for gate in gates:
        metric = metrics.get(gate.metric)
        if metric is None:
            close = get_close_matches(gate.metric, metrics, n=1)
            hint = f"did you mean {close[0]}" if close else f"there are: {', '.join(sorted(metrics)) or 'none'}"
            problems.append(f"no scorer of the suite gives {gate.metric} ({hint})")
            continue
        problems += _misfits(gate, metric)
        found[gate.metric] = bounded(gate, metric)
    if problems:
        raise InvalidInput(
            "The gates do not fit the suite: " + "; ".join(problems) + ".",
            field="gates",
            next_step="Mend them in the suite's YAML, under gates.",
        )
    return found


def bounded(gate: GateConfig, metric: Metric) -> Metric:
    low, high = gate.bounds or (metric.low, metric.high)
    return Metric(metric.name, low, high, metric.higher_is_better, metric.unit)


def goodness(value: float, metric: Metric) -> float:
    """A value in parts of its metric's range, 1 being best."""
    share = (min(max(value, metric.low), metric.high) - metric.low) / (metric.high - metric.low)
    return share if metric.higher_is_better else 1 - share


def _misfits(gate: GateConfig, metric: Metric) -> list[str]:
    ranged = bounded(gate, metric)
    low, high = ranged.low, ranged.high
    if low is None or high is None:
        return [f"{metric.name} has no bounds of its own: write bounds: [lowest, highest]"]
    problems = []
    if gate.margin is not None and gate.margin >= high - low:
        problems.append(f"the margin {gate.margin} of {metric.name} must be below its range {high - low:g}")
    wrong, right = ("ceiling", "floor") if metric.higher_is_better else ("floor", "ceiling")
    if getattr(gate, wrong) is not None:
        better = "more" if metric.higher_is_better else "less"
        problems.append(f"{metric.name} is better when it is {better}: it takes a {right}, not a {wrong}")
    limit = getattr(gate, right)
    if limit is not None and not low < limit < high:
        problems.append(f"the {right} {limit} of {metric.name} must lie between {low:g} and {high:g}")
    return problems
