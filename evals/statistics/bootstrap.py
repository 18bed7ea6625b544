"""Intervals for any statistic by resampling whole clusters.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 13 (percentile) and 14 (BCa); resampling clusters rather than
rows: Cameron, Gelbach and Miller (Review of Economics and Statistics 2008), "pairs cluster bootstrap".
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from data.errors import InvalidInput

NORMAL = NormalDist()
Statistic = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class BootstrapInterval:
    value: float
    low: float
    high: float


def bootstrap_interval(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    statistic: Statistic = np.mean,
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> BootstrapInterval:
    """The BCa interval of `statistic`; each value is its own cluster by default. Raises: InvalidInput for fewer than two clusters."""
    numbers = np.asarray(values, float)
    rows = _rows_of_clusters(range(len(numbers)) if clusters is None else clusters)
    if len(rows) < 2:
        raise InvalidInput(f"A bootstrap needs at least two clusters; there are {len(rows)}.")
    rng = np.random.default_rng(seed)
    value = float(statistic(numbers))
    picks = rng.integers(0, len(rows), (n_resamples, len(rows)))
    drawn = np.array([statistic(numbers[np.concatenate([rows[i] for i in pick])]) for pick in picks])
    quantiles = [_corrected(q, drawn, value, _acceleration(numbers, rows, statistic)) for q in _tails(level)]
    low, high = np.quantile(drawn, quantiles)
    return BootstrapInterval(value, float(low), float(high))


def _tails(level: float) -> tuple[float, float]:
    return (1 - level) / 2, (1 + level) / 2


def _corrected(quantile: float, drawn: np.ndarray, value: float, acceleration: float) -> float:
    """Equation 14.10: the quantile to read instead, for bias (z0) and for a spread that moves with the value (a)."""
    below = (np.sum(drawn < value) + np.sum(drawn <= value)) / (2 * len(drawn))
    if not 0 < below < 1:
        return quantile
    z0, z = NORMAL.inv_cdf(float(below)), NORMAL.inv_cdf(quantile)
    return NORMAL.cdf(z0 + (z0 + z) / (1 - acceleration * (z0 + z)))


def _acceleration(numbers: np.ndarray, rows: list[np.ndarray], statistic: Statistic) -> float:
    """Equation 14.15, by leaving out one cluster at a time."""
    left_out = np.array([statistic(np.delete(numbers, row)) for row in rows])
    away = left_out.mean() - left_out
    spread = float((away**2).sum()) ** 1.5
    return float((away**3).sum()) / (6 * spread) if spread else 0.0


def _rows_of_clusters(clusters: Sequence[Hashable]) -> list[np.ndarray]:
    rows: dict[Hashable, list[int]] = {}
    for index, cluster in enumerate(clusters):
        rows.setdefault(cluster, []).append(index)
    return [np.array(found) for found in rows.values()]
