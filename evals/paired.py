"""Two runs on the samples that both asked: the mean difference with its interval, and where it comes from. Knows no store."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from evals.digest import RunValues
from evals.statistics.clustered import clustered_mean


@dataclass(frozen=True)
class PairedSample:
    """One sample's means over repeats; `change` is after less before."""

    sample_id: str
    before: float
    after: float

    @property
    def change(self) -> float:
        return self.after - self.before


@dataclass(frozen=True)
class PairedMetric:
    """`low` and `high` bound the mean change with 95 %, samples of one document taken together; None where it cannot be told."""

    metric: str
    before: float | None
    after: float | None
    change: float | None
    low: float | None
    high: float | None
    n: int
    n_clusters: int
    n_unpaired: int
    """Samples that have this metric in one of the runs only."""
    samples: tuple[PairedSample, ...]

    @property
    def is_told_apart(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def paired(before: RunValues, after: RunValues, metric: str) -> PairedMetric:
    """Differences of one metric, sample by sample."""
    old, new = _means(before, metric), _means(after, metric)
    clusters = {sample: cluster for sample, _, cluster in after.cases}
    both = [PairedSample(sample, old[sample], value) for sample, value in new.items() if sample in old]
    n_unpaired = len(old.keys() ^ new.keys())
    if not both:
        return PairedMetric(metric, None, None, None, None, None, 0, 0, n_unpaired, ())
    estimate = clustered_mean([one.change for one in both], [clusters[one.sample_id] for one in both])
    return PairedMetric(
        metric,
        fmean(one.before for one in both),
        fmean(one.after for one in both),
        estimate.mean,
        estimate.low,
        estimate.high,
        estimate.n,
        estimate.n_clusters,
        n_unpaired,
        tuple(both),
    )


def metrics_of_both(before: RunValues, after: RunValues) -> list[str]:
    return [name for name in after.values if name in before.values]


def _means(values: RunValues, metric: str) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    of_metric: Sequence[float | None] = values.values.get(metric, ())
    for (sample, _, _), value in zip(values.cases, of_metric, strict=False):
        if value is not None:
            found.setdefault(sample, []).append(value)
    return {sample: fmean(several) for sample, several in found.items()}
