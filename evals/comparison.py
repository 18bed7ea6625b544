"""Two versions on the same samples: takes pairs of rows, cluster by cluster, and says at any time what they prove.

Knows rows, gates and metrics; asks nothing of anybody. Errors are counted and never become scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from data.records import EvalRow, Outcome, Sample
from evals.conclusion import Conclusion, concluded
from evals.gate_config import GateConfig, GateRules, goodness
from evals.gate_report import GateReading
from evals.scoring import Metric
from evals.statistics.clustered import Estimate, clustered_mean
from evals.statistics.multiplicity import holm
from evals.statistics.sequential import DifferenceEvidence, LevelEvidence

ERRORS_SHOWN = 5


@dataclass(frozen=True)
class Pair:
    """One sample as both versions answered it, once per repeat."""

    sample: Sample
    baseline: tuple[EvalRow, ...]
    candidate: tuple[EvalRow, ...]

    @property
    def cluster(self) -> str:
        return self.candidate[0].cluster or self.sample.id

    def values(self, metric: str) -> tuple[float | None, float | None]:
        return _value(self.baseline, metric), _value(self.candidate, metric)

    def errors(self, metrics: Sequence[str]) -> list[str]:
        return [
            f"{self.sample.id}, {arm}: {told}"
            for arm, rows in (("baseline", self.baseline), ("candidate", self.candidate))
            for told in dict.fromkeys(_errors(rows, metrics))
        ]


@dataclass
class Comparison:
    """Feed it whole clusters in random order; read it whenever you like."""

    gates: tuple[GateConfig, ...]
    metrics: Mapping[str, Metric]
    rules: GateRules
    n_samples: int
    pairs: list[Pair] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    n_errors: int = 0

    def __post_init__(self) -> None:
        self._evidence = [_Evidence(gate, self.metrics[gate.metric]) for gate in self.gates]

    def add(self, cluster: Sequence[Pair]) -> None:
        names = [gate.metric for gate in self.gates]
        for pair in cluster:
            told = pair.errors(names)
            self.n_errors += bool(told)
            self.errors += told[: max(0, ERRORS_SHOWN - len(self.errors))]
        self.pairs += cluster
        for evidence in self._evidence:
            evidence.add(cluster)

    @property
    def error_share(self) -> float:
        return self.n_errors / len(self.pairs) if self.pairs else 0.0

    @property
    def is_settled(self) -> bool:
        """Whether more samples would change nothing worth their cost. Says nothing about validity: any moment is honest."""
        if self.n_errors > self.rules.max_error_share * self.n_samples:
            return True
        if self.error_share > self.rules.max_error_share:
            return False
        if any(e.is_lost(*p, self.rules.alpha) for e, p in zip(self._evidence, self._adjusted(), strict=True)):
            return True
        return self.conclusion is Conclusion.PASS and not any(gate.looks_closer for gate in self.gates)

    @property
    def conclusion(self) -> Conclusion:
        return concluded(
            self.outcomes.values(), error_share=self.error_share, max_error_share=self.rules.max_error_share
        )

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Each gated metric's outcome by now."""
        return {gate.metric: outcome for gate, (outcome, _) in zip(self.gates, self._judged(), strict=True)}

    def readings(self) -> list[GateReading]:
        adjusted = self._adjusted()
        return [
            evidence.reading(*judged, *p_values, self.rules)
            for evidence, judged, p_values in zip(self._evidence, self._judged(), adjusted, strict=True)
        ]

    def _judged(self) -> list[tuple[Outcome, str]]:
        return [e.judged(*p, self.rules) for e, p in zip(self._evidence, self._adjusted(), strict=True)]

    def _adjusted(self) -> list[tuple[float | None, float | None]]:
        """Per gate the p-values of "worse" and "below the limit", Holm-adjusted over all of them together."""
        raw = [p for e in self._evidence for p in (e.p_worse, e.p_below)]
        adjusted = iter(holm([p for p in raw if p is not None]))
        both = [None if p is None else next(adjusted) for p in raw]
        return list(zip(both[::2], both[1::2], strict=True))


class _Evidence:
    """All that one gate rests on, with differences and values scaled to [0, 1], 1 being best."""

    def __init__(self, gate: GateConfig, metric: Metric) -> None:
        self.gate, self.metric = gate, metric
        self.width = metric.high - metric.low
        self.limit = gate.floor if metric.higher_is_better else gate.ceiling
        self.difference = DifferenceEvidence(gate.margin / self.width) if gate.margin is not None else None
        self.level = LevelEvidence(goodness(self.limit, metric)) if self.limit is not None else None
        self.pairs: list[tuple[float, float, str]] = []
        self.n_unpaired = 0

    def add(self, cluster: Sequence[Pair]) -> None:
        differences, levels = [], []
        for pair in cluster:
            before, after = pair.values(self.metric.name)
            if after is not None:
                levels.append(goodness(after, self.metric))
            if before is not None and after is not None:
                differences.append(goodness(after, self.metric) - goodness(before, self.metric))
                self.pairs.append((self._bounded(before), self._bounded(after), pair.cluster))
            elif (before is None) != (after is None):
                self.n_unpaired += 1
        if self.difference is not None:
            self.difference.add(differences)
        if self.level is not None:
            self.level.add(levels)

    def _bounded(self, value: float) -> float:
        return min(max(value, self.metric.low), self.metric.high)

    @property
    def p_worse(self) -> float | None:
        return self.difference.worse.p_value if self.difference else None

    @property
    def p_below(self) -> float | None:
        return self.level.below.p_value if self.level else None

    @property
    def change(self) -> float:
        """The mean difference, positive for better, in the metric's unit."""
        sign = 1 if self.metric.higher_is_better else -1
        return sign * fmean(after - before for before, after, _ in self.pairs) if self.pairs else 0.0

    def is_lost(self, p_worse: float | None, p_below: float | None, alpha: float) -> bool:
        """Whether it fails and no further sample is likely to change that: a loss within the margin may still pass."""
        if p_below is not None and p_below <= alpha:
            return True
        return p_worse is not None and p_worse <= alpha and self.change <= -self.gate.margin

    def judged(self, p_worse: float | None, p_below: float | None, rules: GateRules) -> tuple[Outcome, str]:
        parts = [
            self._judged_difference(p_worse, rules) if self.difference else None,
            self._judged_level(p_below, rules) if self.level else None,
        ]
        found = [part for part in parts if part]
        for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
            if told := [why for part, why in found if part is outcome]:
                return outcome, "; ".join(told)
        return Outcome.PASS, "; ".join(why for _, why in found)

    def _judged_difference(self, p_worse: float, rules: GateRules) -> tuple[Outcome, str]:
        n, name = len(self.pairs), self.metric.name
        if not n:
            return Outcome.INCONCLUSIVE, f"no sample has {name} in both arms"
        is_worse = p_worse <= rules.alpha
        if is_worse and self.change <= -self.gate.least_loss:
            return Outcome.FAIL, f"worse by {-self.change:.3g}, more than chance explains (p {p_worse:.2g})"
        if self.n_unpaired / (n + self.n_unpaired) > rules.max_unpaired_share:
            return (
                Outcome.INCONCLUSIVE,
                f"{self.n_unpaired} of {n + self.n_unpaired} samples have {name} in one arm only",
            )
        if self.difference.within.p_value <= rules.alpha and self.change > -self.gate.margin:
            worse = ", though a little worse" if is_worse and self.change < 0 else ""
            return Outcome.PASS, f"proven to be within {self.gate.margin:g} of the baseline{worse}"
        return Outcome.INCONCLUSIVE, f"neither proven worse nor within {self.gate.margin:g}"

    def _judged_level(self, p_below: float, rules: GateRules) -> tuple[Outcome, str]:
        side, limit = ("floor", "above") if self.metric.higher_is_better else ("ceiling", "below")
        if p_below <= rules.alpha:
            return Outcome.FAIL, f"beyond the {side} {self.limit:g} (p {p_below:.2g})"
        if self.level.above.p_value <= rules.alpha and self.level.is_right_side:
            return Outcome.PASS, f"proven to be {limit} the {side} {self.limit:g}"
        return Outcome.INCONCLUSIVE, f"not proven to be {limit} the {side} {self.limit:g}"

    def reading(
        self, outcome: Outcome, why: str, p_worse: float | None, p_below: float | None, rules: GateRules
    ) -> GateReading:
        facts = {}
        if self.pairs:
            before, after, clusters = zip(*self.pairs, strict=True)
            e = clustered_mean([b - a for a, b in zip(before, after, strict=True)], clusters)
            facts = {"baseline": fmean(before), "candidate": fmean(after)} | _interval_facts(e)
        if self.difference and self.pairs:
            low, high = (bound * self.width for bound in self.difference.interval(rules.alpha))
            ordered = (low, high) if self.metric.higher_is_better else (-high, -low)
            facts |= dict(zip(("sequence_low", "sequence_high"), ordered, strict=True))
        return GateReading(
            metric=self.metric.name,
            higher_is_better=self.metric.higher_is_better,
            outcome=outcome,
            why=why,
            margin=self.gate.margin,
            limit=self.limit,
            n_pairs=len(self.pairs),
            n_clusters=len({cluster for _, _, cluster in self.pairs}),
            n_unpaired=self.n_unpaired,
            p_worse=p_worse,
            p_within=self.difference.within.p_value if self.difference else None,
            p_below=p_below,
            p_above=self.level.above.p_value if self.level else None,
            **facts,
        )


def _interval_facts(e: Estimate) -> dict[str, float | None]:
    return {"difference": e.mean, "standard_error": e.standard_error, "low": e.low, "high": e.high}


def _value(rows: Sequence[EvalRow], metric: str) -> float | None:
    """The mean over repeats of what was measured; None where nothing was."""
    found = [s.value for row in rows for s in row.scores if s.scorer == metric and s.value is not None]
    return fmean(found) if found else None


def _errors(rows: Sequence[EvalRow], metrics: Sequence[str]) -> list[str]:
    return [row.observation.error for row in rows if row.observation.error] or [
        f"{s.scorer}: {s.error}" for row in rows for s in row.scores if s.error and s.scorer in metrics
    ]
