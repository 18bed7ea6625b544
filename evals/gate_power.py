"""What a gate can find with the samples at hand, in the metric's own units and in words. Asks nothing of anybody."""

from collections.abc import Iterable, Mapping, Sequence

from data.records import EvalRow, Sample
from evals.gate_config import GateConfig, GateRules, goodness
from evals.gate_report import PowerReading
from evals.runner import cluster_of
from evals.scoring import Metric
from evals.statistics.power import Design, detection_power, passing_power, smallest_detectable


def power_readings(
    gates: Sequence[GateConfig],
    metrics: Mapping[str, Metric],
    rules: GateRules,
    samples: Sequence[Sample],
    pilot: Iterable[EvalRow] = (),
) -> list[PowerReading]:
    """One for each gate with a margin. `pilot` are earlier rows of the same suite, of any version."""
    n_checks = sum((gate.margin is not None) + (gate.floor is not None or gate.ceiling is not None) for gate in gates)
    rows = tuple(pilot)
    return [
        _reading(gate, metrics[gate.metric], rules, _designed(samples, rows, metrics[gate.metric], rules, n_checks))
        for gate in gates
        if gate.margin is not None
    ]


def _reading(gate: GateConfig, metric: Metric, rules: GateRules, found: tuple[Design, str]) -> PowerReading:
    design, assumes = found
    width = metric.high - metric.low
    margin, least = gate.margin / width, gate.least_loss / width
    stops = None if gate.looks_closer else margin
    detectable = smallest_detectable(design, rules.power, least, stops_within=stops)
    return PowerReading(
        metric=gate.metric,
        n_samples=len(design.scores),
        n_clusters=design.n_clusters,
        power=rules.power,
        detectable=None if detectable is None else detectable * width,
        margin=gate.margin,
        chance_to_catch_margin=detection_power(design, margin, least, stops_within=stops),
        chance_to_pass=passing_power(design, margin),
        assumes=assumes,
    )


def _designed(
    samples: Sequence[Sample], pilot: Sequence[EvalRow], metric: Metric, rules: GateRules, n_checks: int
) -> tuple[Design, str]:
    known: dict[str, list[float]] = {}
    for row in pilot:
        for score in row.scores:
            if score.scorer == metric.name and score.value is not None:
                known.setdefault(row.sample_id, []).append(goodness(score.value, metric))
    chosen = [sample for sample in samples if sample.id in known] or list(samples)
    numbers: dict[str, int] = {}
    clusters = tuple(numbers.setdefault(cluster_of(sample), len(numbers)) for sample in chosen)
    scores = tuple(sum(known[s.id]) / len(known[s.id]) for s in chosen) if known else (1.0,) * len(chosen)
    noise = tuple(d for found in known.values() if len(found) > 1 for d in (found[0] - found[1], found[1] - found[0]))
    told = f"scores as in {len(chosen)} earlier rows" if known else "every sample right before (no earlier run)"
    moved = "noise as between their repeats" if noise else "no noise (nothing was repeated)"
    return Design(clusters, scores, noise, rules.alpha, n_checks), f"{told}, {moved}; losses fall on samples at random"
