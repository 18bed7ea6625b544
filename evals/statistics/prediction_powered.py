"""A judge's mean, corrected by the few cases that people scored too.

Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, "Prediction-powered inference" (Science 2023; arXiv:2301.09633), and its tuned form,
Angelopoulos, Duchi and Zrnic, "PPI++: Efficient Prediction-Powered Inference" (arXiv:2311.01453), example 6.1: however wrong the judge is, the
interval is valid; the better it is, the shorter. Labels must be of cases drawn at random, not of the suspicious ones.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from data.errors import InvalidInput
from evals.statistics.clustered import Estimate, cluster_sums
from evals.statistics.student import t_quantile


@dataclass(frozen=True)
class Judged:
    """One case as the judge scored it, and as a person did where one has."""

    judge: float
    human: float | None
    cluster: Hashable


@dataclass(frozen=True)
class Corrected:
    """`weight` is how far the judge is believed (PPI++'s lambda, 0 to 1); `bias` the judge's mean less the people's."""

    estimate: Estimate
    weight: float
    bias: float
    n_labels: int


def corrected_mean(cases: Sequence[Judged], level: float = 0.95) -> Corrected:
    """The mean that people would give. Raises: InvalidInput with labels in fewer than two clusters."""
    labelled = [c for c in cases if c.human is not None]
    others = [c for c in cases if c.human is None]
    n_clusters = len({c.cluster for c in labelled})
    if n_clusters < 2:
        raise InvalidInput(
            f"{len(labelled)} labels in {n_clusters} clusters; at least two clusters need one.",
            field="labels",
            next_step="Let people score some more cases, drawn at random.",
        )
    human, judge = np.array([c.human for c in labelled], float), np.array([c.judge for c in labelled], float)
    rest = np.array([c.judge for c in others], float)
    weight = _weight(human, judge, rest)
    left = human - weight * judge
    shared = weight * rest.mean() if len(rest) else 0.0
    mean = float(left.mean() + shared)
    pull = np.concatenate([(left - left.mean()) / len(left), (weight * rest - shared) / max(len(rest), 1)])
    sums = cluster_sums(pull, [c.cluster for c in (*labelled, *others)])
    error = math.sqrt(len(sums) / (len(sums) - 1) * float((sums**2).sum()))
    reach = t_quantile((1 + level) / 2, n_clusters - 1) * error
    estimate = Estimate(mean, error, mean - reach, mean + reach, len(cases), len(sums))
    return Corrected(estimate, weight, float((judge - human).mean()), len(labelled))


def _weight(human: np.ndarray, judge: np.ndarray, rest: np.ndarray) -> float:
    """Equation 9 of PPI++: the weight of least variance, cut to [0, 1]; without cases that only the judge saw, 0."""
    every = np.concatenate([judge, rest])
    spread = float(every.var())
    if not len(rest) or not spread or len(human) < 3:
        return 0.0
    together = float(np.cov(human, judge)[0, 1])
    return min(1.0, max(0.0, together / ((1 + len(human) / len(rest)) * spread)))
