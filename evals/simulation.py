"""python -m evals.simulation --runs 1000 [--rows show.json --other show.json]: the gate's error rates, measured. JSON out.

Every run is the gate itself (`evals.gate.compared`), fed with made-up rows, or with those of a real suite where files are given. *A/A*: a version against
itself must not fail. *Planted*: a candidate that loses five points on one metric must fail as often as was foreseen. The files are what
`assay eval show RUN --rows --json` prints: of one version, and of another one of the same suite, whose arms are swapped at random,
document by document. That makes an A/A comparison whose differences are as large as real ones.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from data.records import EvalRow, Observation, Outcome, Sample, Score
from evals.gate import GatePlan, Side, compared
from evals.gate_config import GateConfig, GateRules
from evals.scoring import Metric
from evals.statistics.power import Design, detection_power

LOSS = 0.05
NOTHING = Observation()
Values = Mapping[str, Mapping[str, float]]
"""Sample id -> metric -> value in [0, 1], 1 being best."""


@dataclass(frozen=True)
class World:
    """Samples, what the baseline scores on each, and how a version that is as good scores differently."""

    name: str
    samples: tuple[Sample, ...]
    values: Values
    noise: Values
    """The other version's scores, to be swapped in for whole documents."""
    metrics: tuple[str, ...]
    margin: float

    @property
    def gates(self) -> tuple[GateConfig, ...]:
        return tuple(GateConfig(metric=name, margin=self.margin, tolerance=LOSS / 2) for name in self.metrics)


def made_up(rng: np.random.Generator, n_documents: int = 240) -> World:
    """One to three questions a document; a right-or-wrong, a graded and a mostly perfect metric; one answer in 25 differs by chance."""
    samples, values, noise = [], {}, {}
    for document in range(n_documents):
        luck = rng.random() < 0.1
        for question in range(int(rng.choice([1, 1, 2, 3]))):
            sample = Sample(id=f"{document}-{question}", question="?", metadata={"cluster": str(document)})
            samples.append(sample)
            values[sample.id] = _drawn(rng)
            noise[sample.id] = _drawn(rng) if luck and rng.random() < 0.4 else values[sample.id]
    return World("made up", tuple(samples), values, noise, ("right", "graded", "rarely wrong"), LOSS)


def _drawn(rng: np.random.Generator) -> dict[str, float]:
    return {
        "right": float(rng.random() < 0.8),
        "graded": float(rng.beta(4, 2)),
        "rarely wrong": float(rng.random() < 0.97),
    }


def real(rows: Path, other: Path, metrics: Sequence[str], margin: float) -> World:
    """Two runs of one suite; a metric that a sample lacks in either is left out there."""
    mine, theirs = _read(rows), _read(other)
    samples = tuple(
        Sample(id=row.sample_id, question="?", metadata={"cluster": row.cluster or row.sample_id}) for row in mine
    )
    values, noise = {row.sample_id: _scores(row) for row in mine}, {row.sample_id: _scores(row) for row in theirs}
    both = {
        sample.id: [m for m in metrics if m in values[sample.id] and m in noise.get(sample.id, {})]
        for sample in samples
    }
    return World(
        f"{rows.stem}, swapped with {other.stem}",
        samples,
        {i: {m: values[i][m] for m in names} for i, names in both.items()},
        {i: {m: noise[i][m] for m in names} for i, names in both.items()},
        tuple(metrics),
        margin,
    )


def resampled(world: World, n_documents: int, rng: np.random.Generator) -> World:
    """Documents drawn with replacement, each copy a document of its own."""
    documents: dict[str, list[Sample]] = {}
    for sample in world.samples:
        documents.setdefault(str(sample.metadata["cluster"]), []).append(sample)
    names = sorted(documents)
    samples, values, noise = [], {}, {}
    for copy, index in enumerate(rng.integers(0, len(names), n_documents)):
        for sample in documents[names[index]]:
            twin = Sample(id=f"{copy}-{sample.id}", question="?", metadata={"cluster": str(copy)})
            samples.append(twin)
            values[twin.id], noise[twin.id] = world.values[sample.id], world.noise[sample.id]
    return replace(world, samples=tuple(samples), values=values, noise=noise)


def swapped(world: World, rng: np.random.Generator) -> tuple[Values, Values]:
    """Baseline and candidate of an A/A comparison: each document's arms may be the other way round."""
    turned = {cluster: rng.random() < 0.5 for cluster in sorted({str(s.metadata["cluster"]) for s in world.samples})}
    before, after = {}, {}
    for sample in world.samples:
        pair = world.values[sample.id], world.noise[sample.id]
        before[sample.id], after[sample.id] = pair[::-1] if turned[str(sample.metadata["cluster"])] else pair
    return before, after


def planted(world: World, metric: str, rng: np.random.Generator) -> tuple[Values, Values]:
    """A candidate that loses `LOSS` of `metric` on average: some samples lose all of it, the rest nothing."""
    scored = [values[metric] for values in world.values.values() if metric in values]
    share = LOSS / float(np.mean(scored))
    after = {
        i: {m: 0.0 if m == metric and rng.random() < share else v for m, v in values.items()}
        for i, values in world.values.items()
    }
    return world.values, after


def once(world: World, arms: tuple[Values, Values], seed: int, rules: GateRules) -> tuple[Counter, int]:
    """One comparison: each gate's outcome and the whole's, and how many samples were asked."""
    metrics = {name: Metric(name) for name in world.metrics}
    sides = [Side(name, name, partial(_rows, values)) for name, values in zip(("before", "after"), arms, strict=True)]
    rules = rules.model_copy(update={"seed": seed})
    found = compared(GatePlan("simulation", world.gates, rules, metrics, world.samples, *sides))
    told = Counter({f"{metric}:{outcome}": 1 for metric, outcome in found.outcomes.items()})
    told[found.conclusion.value] += 1
    return told, len(found.pairs)


def _rows(values: Values, samples: Sequence[Sample]) -> Iterator[EvalRow]:
    for sample in samples:
        scores = tuple(
            Score.model_construct(scorer=m, value=v, error="", detail={}) for m, v in values[sample.id].items()
        )
        yield EvalRow.model_construct(
            run_id="",
            sample_id=sample.id,
            repeat=0,
            cluster=str(sample.metadata["cluster"]),
            input_sha256="",
            observation=NOTHING,
            scores=scores,
            is_cached=True,
        )


def a_a(world: World, runs: int, rng: np.random.Generator, n_documents: int = 0) -> dict:
    """How a version that is as good as the baseline fares."""
    told, asked, total = Counter(), 0, 0
    for run in range(runs):
        drawn = resampled(world, n_documents, rng) if n_documents else world
        outcome, n = once(drawn, swapped(drawn, rng), run, GateRules())
        told, asked, total = told + outcome, asked + n, total + len(drawn.samples)
    shares = {word: round(told[word] / runs, 4) for word in ("pass", "fail", "inconclusive")}
    return {"runs": runs, "documents": n_documents or _n_documents(world), **shares, "asked": round(asked / total, 3)}


def caught(world: World, metric: str, runs: int, rng: np.random.Generator, n_documents: int = 0) -> dict:
    """How often a planted loss fails, and how often that was foreseen."""
    found = stopped = total = 0
    foreseen = []
    for run in range(runs):
        drawn = resampled(world, n_documents, rng) if n_documents else world
        if run < 20:
            foreseen.append(_foreseen(drawn, metric, run))
        outcome, n = once(drawn, planted(drawn, metric, rng), run, GateRules())
        found += outcome[f"{metric}:{Outcome.FAIL}"]
        stopped, total = stopped + n, total + len(drawn.samples)
    return {
        "metric": metric,
        "runs": runs,
        "documents": n_documents or _n_documents(world),
        "promised": round(float(np.mean(foreseen)), 4),
        "caught": round(found / runs, 4),
        "asked": round(stopped / total, 3),
    }


def _foreseen(world: World, metric: str, seed: int) -> float:
    """What the gate says before it spends, for a loss of `LOSS`."""
    numbers: dict[str, int] = {}
    chosen = [s for s in world.samples if metric in world.values[s.id]]
    clusters = tuple(numbers.setdefault(str(s.metadata["cluster"]), len(numbers)) for s in chosen)
    scores = tuple(world.values[s.id][metric] for s in chosen)
    stops = None if world.gates[0].looks_closer else world.margin
    return detection_power(
        Design(clusters, scores, n_checks=len(world.metrics)), LOSS, LOSS / 2, seed, stops_within=stops
    )


def _n_documents(world: World) -> int:
    return len({str(sample.metadata["cluster"]) for sample in world.samples})


def _read(path: Path) -> list[EvalRow]:
    known = set(EvalRow.model_fields)
    rows = json.loads(path.read_text("utf-8"))["rows"]
    return [EvalRow.model_validate({k: v for k, v in row.items() if k in known}) for row in rows]


def _scores(row: EvalRow) -> dict[str, float]:
    return {score.scorer: score.value for score in row.scores if score.value is not None}


def simulate(arguments: argparse.Namespace) -> dict:
    rng = np.random.default_rng(arguments.seed)
    runs, few = arguments.runs, max(1, arguments.runs // 2)
    if arguments.rows is None:
        world = made_up(rng)
        planted_in = [caught(world, metric, few, rng) for metric in world.metrics]
        return {
            "world": world.name,
            "samples": len(world.samples),
            "a_a": [a_a(world, runs, rng)],
            "planted": planted_in,
        }
    suite = real(arguments.rows, arguments.other, arguments.metrics, arguments.margin)
    sizes = (0, *arguments.documents)
    return {
        "world": suite.name,
        "samples": len(suite.samples),
        "a_a": [a_a(suite, runs, rng, n) for n in (0, arguments.documents[0])],
        "planted": [caught(suite, arguments.metrics[0], few, rng, n) for n in sizes],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.simulation", description="Measure the gate's error rates.")
    parser.add_argument("--runs", type=int, default=1000, help="A/A comparisons; half as many with a planted loss")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, help="what `assay eval show RUN --rows --json` printed")
    parser.add_argument("--other", type=Path, help="the same of another version")
    parser.add_argument("--metrics", nargs="+", default=["citation_recall", "token_recall", "abstention_correct"])
    parser.add_argument("--margin", type=float, default=0.2)
    parser.add_argument("--documents", type=int, nargs="+", default=[240], help="so many, drawn from those of the rows")
    given = parser.parse_args(arguments)
    if (given.rows is None) != (given.other is None):
        parser.error("--rows and --other go together")
    json.dump(simulate(given), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
