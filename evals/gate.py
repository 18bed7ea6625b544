"""Compares two versions on a suite until the evidence is enough: pass, fail, or inconclusive.

Power is told before anything is asked. Clusters of samples come in a random order with a stated seed; both versions answer each of
them, and asking stops when the verdict is settled. Knows no REF, no target and no store: both sides are iterators of rows.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from data.errors import InfrastructureError
from data.records import EvalRow, Sample
from evals.comparison import Comparison, Pair
from evals.conclusion import concluded
from evals.gate_config import GateConfig, GateRules
from evals.gate_findings import variance_readings, worst_cases
from evals.gate_power import power_readings
from evals.gate_report import Arm, GateReport, PowerReading
from evals.human_labels import Labels, corrected_readings
from evals.runner import cluster_of, spent
from evals.scoring import Metric


@dataclass(frozen=True)
class Side:
    """One version. `rows` yields `repeats` rows for each sample, in the samples' order, lazily, and can be closed."""

    ref: str
    target: str
    rows: Callable[[Sequence[Sample]], Iterator[EvalRow]]
    run_id: str = ""
    repeats: int = 1


@dataclass(frozen=True)
class GatePlan:
    """`pilot` are earlier rows of the suite, from which power is foreseen."""

    suite: str
    gates: tuple[GateConfig, ...]
    rules: GateRules
    metrics: Mapping[str, Metric]
    """Of each gate, with its bounds."""
    samples: tuple[Sample, ...]
    baseline: Side
    candidate: Side
    pilot: tuple[EvalRow, ...] = ()
    labels: Labels = field(default_factory=dict)
    asks_all: bool = False
    """Go on when the verdict is settled."""
    notes: tuple[str, ...] = ()


def run_gate(
    plan: GatePlan,
    foresee: Callable[[Sequence[PowerReading]], None] = lambda _: None,
    report: Callable[[int], None] = lambda _: None,
) -> GateReport:
    """`foresee` hears what can be found before anything is spent, `report` how many samples both versions have answered."""
    began = time.perf_counter()
    power = power_readings(plan.gates, plan.metrics, plan.rules, plan.samples, plan.pilot)
    foresee(power)
    comparison = compared(plan, report)
    return _told(plan, comparison, power, time.perf_counter() - began)


def compared(plan: GatePlan, report: Callable[[int], None] = lambda _: None) -> Comparison:
    """Ask both sides, cluster by cluster, until the verdict is settled or nothing is left."""
    comparison = Comparison(plan.gates, plan.metrics, plan.rules, len(plan.samples))
    clusters = shuffled(plan.samples, plan.rules.seed)
    ordered = [sample for cluster in clusters for sample in cluster]
    with closing(plan.baseline.rows(ordered)) as before, closing(plan.candidate.rows(ordered)) as after:
        for cluster in clusters:
            pairs = []
            for sample in cluster:
                pairs.append(Pair(sample, _taken(before, plan.baseline, sample), _taken(after, plan.candidate, sample)))
                report(len(comparison.pairs) + len(pairs))
            comparison.add(pairs)
            if comparison.is_settled and not plan.asks_all:
                break
    return comparison


def shuffled(samples: Sequence[Sample], seed: int) -> list[list[Sample]]:
    """The clusters in random order, each with its samples in theirs."""
    clusters: dict[str, list[Sample]] = {}
    for sample in samples:
        clusters.setdefault(cluster_of(sample), []).append(sample)
    found = list(clusters.values())
    random.Random(seed).shuffle(found)
    return found


def _taken(rows: Iterator[EvalRow], side: Side, sample: Sample) -> tuple[EvalRow, ...]:
    found = tuple(islice(rows, side.repeats))
    if len(found) < side.repeats or any(row.sample_id != sample.id for row in found):
        raise InfrastructureError(
            f"{side.ref} gave {len(found)} of {side.repeats} rows for the sample {sample.id}.",
            next_step="Run it by itself to see why: assay eval run SUITE",
        )
    return found


def _told(plan: GatePlan, comparison: Comparison, power: Sequence[PowerReading], seconds: float) -> GateReport:
    readings = corrected_readings(comparison.readings(), comparison.pairs, plan.metrics, plan.labels, plan.rules.alpha)
    outcomes = [reading.outcome for reading in readings]
    limit = plan.rules.max_error_share
    pairs = comparison.pairs
    return GateReport(
        suite=plan.suite,
        conclusion=concluded(outcomes, error_share=comparison.error_share, max_error_share=limit),
        created_at=datetime.now(UTC),
        baseline=_arm(plan.baseline, [row for pair in pairs for row in pair.baseline]),
        candidate=_arm(plan.candidate, [row for pair in pairs for row in pair.candidate]),
        gates=tuple(readings),
        power=tuple(power),
        worst=tuple(worst_cases(pairs, plan.metrics)),
        variance=tuple(variance_readings(pairs, plan.metrics)),
        alpha=plan.rules.alpha,
        n_samples=len(plan.samples),
        n_asked=len(pairs),
        n_errors=comparison.n_errors,
        max_error_share=limit,
        errors=tuple(comparison.errors),
        seconds=round(seconds, 3),
        notes=plan.notes,
    )


def _arm(side: Side, rows: Sequence[EvalRow]) -> Arm:
    return Arm(ref=side.ref, target=side.target, run_id=side.run_id, **spent(rows))
