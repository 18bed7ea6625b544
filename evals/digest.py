"""A run as the dashboard reads it: means over all samples and over each slice, and every sample's numbers side by side.

Made once, when a run ends, so that no page has to read its rows. Knows no store.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, JsonValue

from data.records import EvalRow, Sample
from evals.dataset import samples_digest
from evals.scoring import Metric
from evals.summary import MetricSummary, summarised

EVERYTHING = ""
"""The slice that holds every sample."""
MOST_VALUES = 20
"""A field of the samples' metadata with more distinct values is a name, not a slice."""
NOT_SLICES = frozenset({"cluster", "template"})
DIGITS = 6
LONGEST_SLICE = 300


class AskedSample(BaseModel):
    """A sample without its quotes of documents, which an erasure could not find here."""

    model_config = ConfigDict(frozen=True)

    question: str
    answer: str | None = None
    answerable: bool = True
    slices: tuple[str, ...] = ()


class RunValues(BaseModel):
    """`cases` are (sample, repeat, cluster) in the order of rows; each metric has one value a case, None where there is none."""

    model_config = ConfigDict(frozen=True)

    cases: tuple[tuple[str, int, str], ...]
    values: dict[str, tuple[float | None, ...]]
    failed: tuple[int, ...] = ()
    """Places of cases where the target gave no answer."""
    broken: tuple[int, ...] = ()
    """Places of cases that the target answered and a scorer could not score."""


class SliceMetric(BaseModel):
    model_config = ConfigDict(frozen=True)

    metric: str
    slice: str
    place: int
    summary: MetricSummary


@dataclass(frozen=True)
class RunDigest:
    dataset: str
    samples: Mapping[str, AskedSample]
    metrics: tuple[SliceMetric, ...]
    values: RunValues


def digested(rows: Sequence[EvalRow], samples: Sequence[Sample], metrics: Mapping[str, Metric]) -> RunDigest:
    """Of rows, the samples they answer and what was measured. A metric that applied to no row is left out."""
    slices = slices_of(samples)
    return RunDigest(
        dataset=samples_digest(samples) if samples else "",
        samples={
            s.id: AskedSample(question=s.question, answer=s.answer, answerable=s.answerable, slices=slices[s.id])
            for s in samples
        },
        metrics=tuple(_means(rows, slices, metrics)),
        values=values_of(rows, metrics),
    )


def slices_of(samples: Sequence[Sample]) -> dict[str, tuple[str, ...]]:
    """By sample the slices it is in, as `field=value`: fields that tell groups apart and do not name single samples."""
    told = {sample.id: dict.fromkeys(_facts(sample)) for sample in samples}
    values = Counter(field for field, _ in {fact for facts in told.values() for fact in facts})
    is_slice = {field: 1 < n <= MOST_VALUES and (n < len(samples) or n == 2) for field, n in values.items()}
    return {
        identity: tuple(f"{field}={value}"[:LONGEST_SLICE] for field, value in facts if is_slice[field])
        for identity, facts in told.items()
    }


def values_of(rows: Sequence[EvalRow], metrics: Mapping[str, Metric]) -> RunValues:
    scores = [{score.scorer: score for score in row.scores} for row in rows]
    answered = [(n, found) for n, found in enumerate(scores) if not rows[n].observation.error]
    return RunValues(
        cases=tuple((row.sample_id, row.repeat, row.cluster or row.sample_id) for row in rows),
        values={
            name: tuple(_short(found[name].value) if name in found else None for found in scores)
            for name in metrics
            if any(name in found for found in scores)
        },
        failed=tuple(n for n, row in enumerate(rows) if row.observation.error),
        broken=tuple(n for n, found in answered if any(score.error for score in found.values())),
    )


def _means(
    rows: Sequence[EvalRow], slices: Mapping[str, Sequence[str]], metrics: Mapping[str, Metric]
) -> Iterable[SliceMetric]:
    parts: dict[str, list[EvalRow]] = {EVERYTHING: list(rows)}
    for row in rows:
        for name in slices.get(row.sample_id, ()):
            parts.setdefault(name, []).append(row)
    for name, part in parts.items():
        for place, (metric, found) in enumerate(summarised(part, metrics).items()):
            if found.n or found.n_errors:
                yield SliceMetric(metric=metric, slice=name, place=place, summary=found)


def _facts(sample: Sample) -> Iterable[tuple[str, str]]:
    yield "answerable", _told(sample.answerable)
    for field, value in sample.metadata.items():
        if field in NOT_SLICES:
            continue
        for one in value if isinstance(value, list) and field in ("tags", "groups") else [value]:
            if isinstance(one, str | bool | int) and str(one).strip():
                yield field, _told(one)


def _told(value: JsonValue) -> str:
    return str(value).lower() if isinstance(value, bool) else " ".join(str(value).split())


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
