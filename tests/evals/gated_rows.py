"""Rows and sides for tests of the gate: values in, rows out. Imported by tests."""

from collections.abc import Mapping, Sequence
from functools import partial

from data.records import Answer, EvalRow, Observation, Sample, Score
from evals.gate import GatePlan, Side
from evals.gate_config import GateConfig, GateRules
from evals.scoring import Metric

Value = float | str | None
"""A score, the words of an error, or nothing to judge."""


def row(sample_id: str, scores: Mapping[str, Value], *, repeat: int = 0, cluster: str = "", text: str = "") -> EvalRow:
    return EvalRow(
        run_id="r",
        sample_id=sample_id,
        repeat=repeat,
        cluster=cluster,
        input_sha256="x",
        observation=Observation(answer=Answer(text=text or f"answer to {sample_id}", sentences=())),
        scores=tuple(
            Score(
                scorer=name,
                value=None if isinstance(value, str) else value,
                error=value if isinstance(value, str) else "",
            )
            for name, value in scores.items()
            if value is not None
        ),
    )


def failed(sample_id: str, error: str = "the server is away") -> EvalRow:
    return EvalRow(run_id="r", sample_id=sample_id, input_sha256="x", observation=Observation(error=error))


def samples(n: int, per_cluster: int = 1) -> tuple[Sample, ...]:
    return tuple(
        Sample(id=f"s{i:03}", question=f"Question {i}?", metadata={"cluster": f"d{i // per_cluster}"}) for i in range(n)
    )


def side(ref: str, rows: Mapping[str, Sequence[EvalRow]], repeats: int = 1, asked: list[str] | None = None) -> Side:
    """`asked` hears which samples were read."""

    def iterate(order):
        for sample in order:
            if asked is not None:
                asked.append(sample.id)
            yield from rows[sample.id][:repeats]

    return Side(ref, f"target of {ref}", iterate, repeats=repeats)


def plan_of(
    before: Sequence[Mapping[str, Value] | EvalRow],
    after: Sequence[Mapping[str, Value] | EvalRow],
    gates: Sequence[GateConfig] = (GateConfig(metric="quality", margin=0.1),),
    *,
    metrics: Mapping[str, Metric] | None = None,
    per_cluster: int = 1,
    rules: GateRules = GateRules(),
    asked: list[str] | None = None,
    **more,
) -> GatePlan:
    """One entry a sample: its scores, or a row as it is."""
    asked_samples = samples(len(before), per_cluster)
    make = partial(_rows, asked_samples)
    return GatePlan(
        suite="handbook",
        gates=tuple(gates),
        rules=rules,
        metrics=metrics or {gate.metric: Metric(gate.metric) for gate in gates},
        samples=asked_samples,
        baseline=side("prompt:answer@1", make(before)),
        candidate=side("prompt:answer@2", make(after), asked=asked),
        **more,
    )


def _rows(asked: Sequence[Sample], given: Sequence[Mapping[str, Value] | EvalRow]) -> dict[str, list[EvalRow]]:
    return {
        sample.id: [
            one.model_copy(update={"sample_id": sample.id})
            if isinstance(one, EvalRow)
            else row(sample.id, one, cluster=str(sample.metadata["cluster"]))
        ]
        for sample, one in zip(asked, given, strict=True)
    }
