"""How much more windows of the reference differ from one another than chance would have it: weekdays, sessions, batches.

Thresholds that take rows for independent are too low where they are not. The reference is cut into windows of the same length; the median of
their effects against the rest, over the median under independence, multiplies the noise (an overdispersion factor, as in quasi-likelihood:
Wedderburn, Biometrika 1974). Never less than 1; 1 where the reference is too short to tell.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from evals.drift.columns import Counts, Shares, null_draws, shares

FEWEST = 6
"""Fewer windows in the reference say nothing about their spread."""


def column_inflation(
    windows: Sequence[Counts], effect: Callable[[Shares, Shares], Shares], *, n_draws: int = 400
) -> float:
    """`windows` are the histograms of the reference's windows."""
    if len(windows) < FEWEST:
        return 1.0
    total = np.sum(windows, axis=0)
    seen, expected = [], []
    for k, window in enumerate(windows):
        rest = total - window
        seen.append(float(effect(shares(rest), shares(window))))
        expected.append(float(np.median(effect(*null_draws(total, int(window.sum()), n_draws, seed=k)))))
    return max(1.0, float(np.median(seen) / max(np.median(expected), 1e-12)))


def mean_inflation(groups: Sequence[NDArray[np.floating]]) -> float:
    """For squared distances of means: between-window variance of vectors over what rows alone would give, both as traces."""
    kept = [group for group in groups if len(group) >= 2]
    if len(kept) < FEWEST:
        return 1.0
    everything = np.concatenate(kept)
    within = float(everything.var(axis=0).sum())
    centre = everything.mean(axis=0)
    ratios = [float(((group.mean(axis=0) - centre) ** 2).sum()) * len(group) / within for group in kept]
    return max(1.0, float(np.median(ratios)) * len(kept) / (len(kept) - 1))


def slices(n: int, size: int) -> list[slice]:
    """As many whole windows of `size` rows as fit, from the end."""
    count = n // size if size else 0
    return [slice(n - (k + 1) * size, n - k * size) for k in reversed(range(count))]
