"""Intervals and tests for the measured commands: shares, ratios of clustered rows, paired differences."""

import itertools
import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
EXACT_FLIPS = 14
"""Up to so many differences, all 2^n signs are tried; above, a sample of them."""


def wilson(n_hits: int, n: int, confidence: float = 0.95) -> list[float] | None:
    """The score interval of a share (Wilson 1927), rounded; nothing for no trials."""
    if n == 0:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = n_hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return [round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)]


def resampled(totals: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """Sums of each column over bootstrap samples of whole clusters (Davison & Hinkley 1997, section 3.8).

    `totals` is [clusters, columns]; returns [resamples, columns]. Ratios of its columns are then bootstrapped ratios.
    """
    n = len(totals)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES)
    return weights @ totals


def percentiles(values: Sequence[float], confidence: float = 0.95) -> list[float] | None:
    """The middle `confidence` of bootstrap values, undefined ones left out, rounded; nothing for none."""
    defined = np.asarray(values, float)
    defined = defined[np.isfinite(defined)]
    if not len(defined):
        return None
    tail = 50 * (1 - confidence)
    low, high = np.percentile(defined, [tail, 100 - tail])
    return [round(float(low), 4), round(float(high), 4)]


def sign_flip(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p of a mean difference of zero: signs are exchangeable when groups do not matter (Fisher 1935)."""
    given = np.asarray([d for d in differences if d], float)
    if not len(given):
        return 1.0
    if len(given) <= EXACT_FLIPS:
        signs = np.asarray(list(itertools.product((1.0, -1.0), repeat=len(given))))
        return float(np.mean(np.abs(signs @ given) >= abs(given.sum()) - 1e-12))
    signs = np.random.default_rng(seed).choice((1.0, -1.0), (20_000, len(given)))
    n_as_extreme = int(np.sum(np.abs(signs @ given) >= abs(given.sum()) - 1e-12))
    return (n_as_extreme + 1) / (len(signs) + 1)  # the observed signs are one of them (Phipson & Smyth 2010)
