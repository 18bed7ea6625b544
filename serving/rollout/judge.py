"""Weighs a trial's outcomes and says when they are enough to move. Deterministic: the same outcomes, the same decision."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from data.betting import Capital, Observation, assigned, interval, paired
from serving.rollout.outcomes import RolloutOutcome
from serving.rollout.policy import Metric, RolloutPolicy

INTERVAL_OBSERVATIONS = 20_000
"""The newest trial's first observations that a printed interval rests on; decisions rest on all of them."""


class Move(StrEnum):
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    WAIT = "wait"


@dataclass(frozen=True)
class Decision:
    move: Move
    why: str


@dataclass(frozen=True)
class MetricReading:
    """What is known of one metric. `difference` is candidate minus incumbent, positive when the candidate is better."""

    metric: str
    n_candidate: int
    n_incumbent: int
    difference: float | None
    low: float
    high: float
    e_worse: float
    e_safe: float
    tolerance: float


@dataclass
class _Evidence:
    """Both gamblers of one metric and the running means that centre their observations."""

    metric: Metric
    worse: Capital
    safe: Capital
    seen: set[str] = field(default_factory=set)
    observations: list[Observation] = field(default_factory=list)
    sums: dict[bool, float] = field(default_factory=lambda: {True: 0.0, False: 0.0})
    counts: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})

    def add(self, outcome: RolloutOutcome) -> None:
        name = self.metric.name
        if name not in outcome.metrics or outcome.unit in self.seen:
            return
        value = self._good(outcome.metrics[name])
        if outcome.arm == "pair":
            if name not in outcome.against:
                return
            against = self._good(outcome.against[name])
            observation = paired(value, against)
            self._count(True, value)
            self._count(False, against)
        else:
            is_candidate = outcome.arm == "candidate"
            centre = 0.5 if self.metric.is_sparse else self._centre(outcome.share)
            observation = assigned(value, is_candidate=is_candidate, share=outcome.share, centre=centre)
            self._count(is_candidate, value)
        self.seen.add(outcome.unit)
        self.observations.append(observation)
        self.worse.bet(observation)
        self.safe.bet(observation)

    def _good(self, value: float) -> float:
        value = min(max(value, 0.0), 1.0)
        return value if self.metric.higher_is_better else 1.0 - value

    def _centre(self, share: float) -> float:
        """Fixed before the value is seen: the means so far, weighted for the least variance."""
        means = {arm: (self.sums[arm] + 0.5) / (self.counts[arm] + 1) for arm in (True, False)}
        return (1 - share) * means[True] + share * means[False]

    def _count(self, is_candidate: bool, value: float) -> None:
        self.sums[is_candidate] += value
        self.counts[is_candidate] += 1

    def reading(self, alpha: float) -> MetricReading:
        n, m = self.counts[True], self.counts[False]
        low, high = interval(self.observations[:INTERVAL_OBSERVATIONS], alpha)
        return MetricReading(
            metric=self.metric.name,
            n_candidate=n,
            n_incumbent=m,
            difference=self.sums[True] / n - self.sums[False] / m if n and m else None,
            low=low,
            high=high,
            e_worse=self.worse.e_value,
            e_safe=self.safe.e_value,
            tolerance=self.metric.tolerance,
        )


class Judge:
    """One per trial. Feed it outcomes in their stored order; each unit counts once per metric, at its first outcome."""

    def __init__(self, policy: RolloutPolicy) -> None:
        self._policy = policy
        self._units: set[str] = set()
        self._evidence = [
            _Evidence(m, worse=Capital(-m.tolerance, -1), safe=Capital(m.margin, 1)) for m in policy.metrics
        ]

    def weigh(self, outcomes: Iterable[RolloutOutcome]) -> Decision:
        for outcome in outcomes:
            if outcome.arm != "incumbent":
                self._units.add(outcome.unit)
            for evidence in self._evidence:
                evidence.add(outcome)
        return self.decision

    @property
    def decision(self) -> Decision:
        """Rejections stand once made, so it does not matter how often one looks; a rollback outweighs a promotion."""
        policy = self._policy
        for evidence in self._evidence:
            if evidence.worse.has_reached(policy.rollback_at):
                return Decision(Move.ROLLBACK, f"{evidence.metric.name} is worse: {_told(evidence)}")
        required = [e for e in self._evidence if e.metric.is_required]
        if len(self._units) < policy.min_units:
            return Decision(Move.WAIT, f"{len(self._units)} of at least {policy.min_units} units have answered")
        missing = [e for e in required if not e.safe.has_reached(policy.promote_at)]
        if not missing:
            return Decision(Move.PROMOTE, "; ".join(f"{_aim(e.metric)}: {e.metric.name} {_told(e)}" for e in required))
        told = "; ".join(f"{_aim(e.metric)}: {e.metric.name}" for e in missing)
        if policy.max_units is not None and len(self._units) >= policy.max_units:
            return Decision(Move.ROLLBACK, f"undecided after the {policy.max_units} units that were planned, {told}")
        return Decision(Move.WAIT, f"not yet proven to be {told}")

    def readings(self) -> list[MetricReading]:
        """For people: differences with intervals that hold at all times, one (1 - alpha) interval per metric."""
        return [evidence.reading(self._policy.alpha_rollback) for evidence in self._evidence]


def _aim(metric: Metric) -> str:
    return "within tolerance" if metric.min_lift is None else f"better by more than {metric.min_lift:g}"


def _told(evidence: _Evidence) -> str:
    parts = []
    for arm, name in ((True, "candidate"), (False, "incumbent")):
        n = evidence.counts[arm]
        parts.append(f"{name} {evidence.sums[arm] / n:.3f} of {n}" if n else f"{name} not seen")
    return (
        f"{parts[0]}, {parts[1]} (goodness); e worse {evidence.worse.e_value:.3g}, e safe {evidence.safe.e_value:.3g}"
    )
