"""A mean with an error bar that knows which samples belong together.

Samples about one document share its luck; taken as independent they make the error bar too short. CR1 variance with Student's
t on (clusters - 1) degrees of freedom: Cameron and Miller, "A Practitioner's Guide to Cluster-Robust Inference" (Journal of Human
Resources 2015), sections II.B and VI.D; for evals, Miller, "Adding Error Bars to Evals" (2024, arXiv:2411.00640), section 2.2, and section 4.2 on
paired differences, whose variance is smaller than that of two separate means by twice their covariance.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from data.errors import InvalidInput
from evals.statistics.student import t_quantile


@dataclass(frozen=True)
class Estimate:
    """`standard_error`, `low` and `high` are None where one cluster alone tells nothing about spread."""

    mean: float
    standard_error: float | None
    low: float | None
    high: float | None
    n: int
    n_clusters: int


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable], level: float = 0.95) -> Estimate:
    """The mean, its CR1 standard error and its two-sided t interval. Raises: InvalidInput for no values or unequal lengths."""
    if len(values) != len(clusters) or not len(values):
        raise InvalidInput(
            f"There are {len(values)} values and {len(clusters)} clusters; equal numbers above 0 are needed."
        )
    numbers = np.asarray(values, float)
    mean = float(numbers.mean())
    sums = cluster_sums(numbers - mean, clusters)
    n, g = len(numbers), len(sums)
    if g < 2:
        return Estimate(mean, None, None, None, n, g)
    error = math.sqrt(g / (g - 1) * float((sums**2).sum())) / n
    reach = t_quantile((1 + level) / 2, g - 1) * error
    return Estimate(mean, error, mean - reach, mean + reach, n, g)


def cluster_sums(values: np.ndarray, clusters: Sequence[Hashable]) -> np.ndarray:
    """The sum of each cluster, in order of first appearance."""
    places: dict[Hashable, int] = {}
    index = [places.setdefault(cluster, len(places)) for cluster in clusters]
    return np.bincount(index, weights=values, minlength=len(places))
