"""How far one column moved, from counts alone: every effect is of two histograms over the same bins, so a million rows cost one count.

Bins of numbers are the reference's quantiles (equal values stay together), those of words its values, the rare ones together. What an effect is
where nothing changed follows from drawing both histograms from the reference's own shares (`null_effects`), for any number of rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.integer]
Shares = NDArray[np.float64]
N_BINS = 40
N_DRAWS = 2000
FLOOR = 1e-4
"""A share is never less, where a logarithm is taken of it."""


@dataclass(frozen=True)
class Binning:
    """Where the values of a column go. `centres` are in units of the reference's spread; empty for words."""

    edges: NDArray[np.float64]
    """Inner edges of numbers: bin k holds edges[k-1] <= x < edges[k]."""
    values: tuple[str, ...]
    """Values of words, in the order of their bins; the last bin holds all others."""
    centres: NDArray[np.float64]

    @property
    def n(self) -> int:
        return len(self.values) + 1 if self.values else len(self.edges) + 1

    @property
    def is_ordered(self) -> bool:
        return not self.values


def number_binning(column: NDArray[np.floating], n_bins: int = N_BINS) -> Binning:
    """By the quantiles of the values that are there; few distinct values get a bin each."""
    known = column[~np.isnan(column)].astype(np.float64)
    if len(known) == 0:
        return Binning(np.empty(0), (), np.zeros(1))
    distinct = np.unique(known)
    if len(distinct) <= n_bins:
        edges = (distinct[1:] + distinct[:-1]) / 2
    else:
        edges = np.unique(np.quantile(known, np.arange(1, n_bins) / n_bins))
    bins = np.searchsorted(edges, known, "right")
    n = np.bincount(bins, minlength=len(edges) + 1)
    means = np.bincount(bins, weights=known, minlength=len(edges) + 1) / np.maximum(n, 1)
    empty = n == 0
    means[empty] = np.interp(np.flatnonzero(empty), np.flatnonzero(~empty), means[~empty])
    spread = float(known.std()) or 1.0
    return Binning(edges, (), means / spread)


def word_binning(values: NDArray[np.object_] | list[str], most: int = N_BINS) -> Binning:
    """The most frequent values, each in a bin of its own."""
    found, n = np.unique(np.asarray(values, dtype=object).astype(str), return_counts=True)
    kept = found[np.argsort(-n, kind="stable")[:most]]
    return Binning(np.empty(0), tuple(str(one) for one in kept), np.zeros(0))


def counted_numbers(column: NDArray[np.floating], binning: Binning) -> Counts:
    known = column[~np.isnan(column)]
    return np.bincount(np.searchsorted(binning.edges, known, "right"), minlength=binning.n)


# -- effects: shares [..., bins] of reference and window to a number


def population_stability(p: Shares, q: Shares) -> Shares:
    """PSI = sum (q - p) ln(q / p): the symmetric Kullback-Leibler divergence (Jeffreys)."""
    a, b = np.maximum(p, FLOOR), np.maximum(q, FLOOR)
    return ((b - a) * np.log(b / a)).sum(axis=-1)


def jensen_shannon(p: Shares, q: Shares) -> Shares:
    """The divergence, base 2, in [0, 1]; its root is a distance (Endres and Schindelin 2003)."""
    middle = (p + q) / 2
    return (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2 / np.log(2)


def kolmogorov_smirnov(p: Shares, q: Shares) -> Shares:
    """The largest difference of the two distribution functions at the edges of the bins."""
    return np.abs((p - q).cumsum(axis=-1)).max(axis=-1)


def cramers_v(p: Shares, q: Shares) -> Shares:
    """sqrt(chi-squared / n) of the 2 x bins table with as many rows on both sides, in [0, 1]: chi-squared without its n."""
    total = p + q
    return np.sqrt(np.where(total > 0, (p - q) ** 2 / np.where(total > 0, total, 1), 0).sum(axis=-1) / 2)


def wasserstein(p: Shares, q: Shares, centres: Shares) -> Shares:
    """How far the mass has to travel, in standard deviations of the reference."""
    gaps = np.diff(centres)
    return (np.abs((p - q).cumsum(axis=-1))[..., :-1] * gaps).sum(axis=-1)


def _relative_entropy(p: Shares, q: Shares) -> Shares:
    ratio = np.where(p > 0, p / np.where(q > 0, q, 1), 1)
    return (p * np.log(ratio)).sum(axis=-1)


EFFECTS: dict[str, Callable[[Shares, Shares], Shares]] = {
    "psi": population_stability,
    "js": jensen_shannon,
    "ks": kolmogorov_smirnov,
    "chi2": cramers_v,
}


def effect_of(name: str, binning: Binning) -> Callable[[Shares, Shares], Shares]:
    """`psi`, `js`, `ks`, `chi2` or `wasserstein`."""
    if name == "wasserstein":
        return lambda p, q: wasserstein(p, q, binning.centres)
    return EFFECTS[name]


def shares(counts: Counts) -> Shares:
    total = counts.sum(axis=-1, keepdims=True)
    return counts / np.maximum(total, 1)


def null_draws(reference: Counts, n: int, n_draws: int = N_DRAWS, seed: int = 0) -> tuple[Shares, Shares]:
    """Shares of reference and window, [draws, bins], where both are drawn from the reference's own shares."""
    rng = np.random.default_rng(seed)
    m = int(reference.sum())
    p = shares(reference) if m else np.full(len(reference), 1 / len(reference))
    return rng.multinomial(m, p, n_draws) / max(m, 1), rng.multinomial(n, p, n_draws) / max(n, 1)


def bootstrap_draws(counts: Counts, n_draws: int = 200, seed: int = 0) -> Shares:
    """Shares of a histogram drawn again from itself, [draws, bins]."""
    n = int(counts.sum())
    return (
        np.random.default_rng(seed).multinomial(n, shares(counts), n_draws) / max(n, 1)
        if n
        else np.zeros((n_draws, len(counts)))
    )
