"""How small a regression the gate can find with the samples at hand, before any is spent. By simulating the very tests.

The planted regression is the hardest one of its size to see: each sample is lost whole with equal probability, and the others keep
their score. Scores come from earlier rows where there are any (a pilot), else every sample is taken to be right before, which makes
each loss as large as it can be and losses as few. Repeats of the pilot tell how much scores move for no reason; without repeats that
is taken to be nothing, and said.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data.betting import BOLD_FRACTIONS, SCALES, symmetric_stakes

N_SIMULATIONS = 400
"""Or fewer, where there are many clusters: a probability is then known to 0.05."""
MOST_CELLS = 200_000
FEWEST_SIMULATIONS = 100
FINEST = 0.0025
"""A detectable regression is found to this precision, in parts of the metric's range."""


@dataclass(frozen=True)
class Design:
    """What is known before spending. Scores in [0, 1], 1 being best; differences of that scale."""

    clusters: tuple[int, ...]
    """For each sample the number of its cluster, from 0."""
    scores: tuple[float, ...]
    """The baseline's score of each sample, measured or supposed."""
    noise: tuple[float, ...] = ()
    """Differences between repeats of one sample."""
    alpha: float = 0.05
    n_checks: int = 1
    """How many questions share alpha; the first step of Holm's procedure gives each alpha / n_checks."""

    @property
    def n_clusters(self) -> int:
        return max(self.clusters) + 1


def detection_power(
    design: Design, regression: float, least_loss: float = 0.0, seed: int = 0, *, stops_within: float | None = None
) -> float:
    """The probability that a loss of `regression` on average is found, at some time or at the end.

    `stops_within` is the margin where asking stops as soon as the candidate is proven to be within it: what passes first is not found.
    """
    means, overall = planted(design, regression, np.random.default_rng(seed))
    found = first_worse(means, np.log(design.n_checks / design.alpha))
    last = means.shape[1] - 1
    if stops_within is not None:
        last = np.minimum(first_within(means, stops_within, np.log(1 / design.alpha)), last)
    return float(((found <= last) & (overall <= -least_loss)).mean())


def passing_power(design: Design, margin: float, regression: float = 0.0, seed: int = 0) -> float:
    """The probability that a candidate with that regression (none by default) is proven to be within the margin."""
    means, overall = planted(design, regression, np.random.default_rng(seed))
    return float(((log_peaks_within(means, margin) >= np.log(1 / design.alpha)) & (overall > -margin)).mean())


def smallest_detectable(
    design: Design, power: float, least_loss: float = 0.0, seed: int = 0, *, stops_within: float | None = None
) -> float | None:
    """The smallest loss found with probability `power`, to `FINEST`; None where even losing everything is not."""

    def found(regression: float) -> bool:
        return detection_power(design, regression, least_loss, seed, stops_within=stops_within) >= power

    low, high = 0.0, float(np.mean(design.scores))
    if not found(high):
        return None
    while high - low > FINEST:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def planted(design: Design, regression: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cluster means (simulations x clusters, in random order) and overall means of differences with a planted loss."""
    scores = np.asarray(design.scores, float)
    share = min(1.0, regression / scores.mean()) if scores.mean() > 0 else 0.0
    n = min(N_SIMULATIONS, max(FEWEST_SIMULATIONS, MOST_CELLS // len(scores)))
    shape = (n, len(scores))
    differences = np.where(rng.random(shape) < share, -scores, 0.0)
    if design.noise:
        differences = np.clip(differences + rng.choice(np.asarray(design.noise), shape), -1, 1)
    order = np.argsort(design.clusters, kind="stable")
    sizes = np.bincount(design.clusters)
    starts = np.concatenate([[0], sizes.cumsum()[:-1]])
    means = np.add.reduceat(differences[:, order], starts, axis=1) / sizes
    return rng.permuted(means, axis=1), differences.mean(axis=1)


def log_peaks_worse(means: np.ndarray) -> np.ndarray:
    """The highest log capital that `SymmetricCapital` reaches on each row of cluster means."""
    return np.maximum(0.0, _log_wealth_worse(means).max(axis=1))


def log_peaks_within(means: np.ndarray, margin: float) -> np.ndarray:
    """The same of `Capital(-margin, 1, BOLD_FRACTIONS)`."""
    return np.maximum(0.0, _log_wealth_within(means, margin).max(axis=1))


def first_worse(means: np.ndarray, threshold: float) -> np.ndarray:
    """The cluster, from 0, at which that capital first has the log `threshold`; their number where it never has."""
    return _first(_log_wealth_worse(means), threshold)


def first_within(means: np.ndarray, margin: float, threshold: float) -> np.ndarray:
    return _first(_log_wealth_within(means, margin), threshold)


def _log_wealth_worse(means: np.ndarray) -> np.ndarray:
    return _log_wealth(means, SCALES, lambda scale, m: np.log1p(-symmetric_stakes(scale * m)))


def _log_wealth_within(means: np.ndarray, margin: float) -> np.ndarray:
    odds = (means + margin) / (1 - margin)
    return _log_wealth(odds, BOLD_FRACTIONS, lambda fraction, o: np.log1p(fraction * o))


def _log_wealth(
    values: np.ndarray, ways: np.ndarray, log_factor: Callable[[float, np.ndarray], np.ndarray]
) -> np.ndarray:
    total = np.full(values.shape, -np.inf)
    for way, n in zip(*np.unique(ways, return_counts=True), strict=True):
        np.logaddexp(total, log_factor(way, values).cumsum(axis=1) + np.log(n / len(ways)), out=total)
    return total


def _first(paths: np.ndarray, threshold: float) -> np.ndarray:
    reached = paths >= threshold
    return np.where(reached.any(axis=1), reached.argmax(axis=1), paths.shape[1])
