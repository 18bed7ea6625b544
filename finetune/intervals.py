"""95 % intervals over held-out rows. Knows no model."""

from collections.abc import Sequence

import numpy as np

from finetune.kinds import Measured

N_RESAMPLES = 2000


def ratio_interval(sums: Sequence[float], counts: Sequence[int], seed: int = 0) -> Measured:
    """sum(sums) / sum(counts), rows resampled (percentile bootstrap, Efron & Tibshirani 1993, chapter 13)."""
    above, below = np.asarray(sums, float), np.asarray(counts, float)
    if not len(above) or not below.sum():
        return Measured(float("nan"), float("nan"), float("nan"), 0)
    picks = np.random.default_rng(seed).integers(0, len(above), (N_RESAMPLES, len(above)))
    ratios = above[picks].sum(1) / np.maximum(below[picks].sum(1), 1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Measured(float(above.sum() / below.sum()), float(low), float(high), len(above))
