"""Bootstrap weights of rows, or of whole clusters of rows, in chunks that fit the memory. Knows no metric.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13; clusters: Cameron, Gelbach and Miller (2008).
"""

from collections.abc import Iterator

import numpy as np

from data.errors import InvalidInput
from data.tabular.model import Measured

N_RESAMPLES = 500
CELLS = 4_000_000
"""Weights held at a time: 32 MB."""


def told(measured: Measured) -> str:
    """For people."""
    if measured.value != measured.value:
        return "undefined"
    return f"{measured.value:.4f} [{measured.low:.4f}, {measured.high:.4f}]"


def as_list(measured: Measured) -> list[float | None]:
    """[value, low, high] for JSON, which knows no NaN."""
    return [number if number == number else None for number in (measured.value, measured.low, measured.high)]


def weights_of(
    n_rows: int, clusters: np.ndarray | None = None, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Iterator[np.ndarray]:
    """float64 [k, n_rows] at a time: how often each row was drawn; rows of one cluster are drawn together.

    Raises: InvalidInput for fewer than two rows or clusters.
    """
    rng = np.random.default_rng(seed)
    at = np.arange(n_rows) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    n_drawn = int(at.max()) + 1 if n_rows else 0
    if n_drawn < 2:
        raise InvalidInput(
            f"A bootstrap needs at least two rows or clusters; there are {n_drawn}.",
            field="rows",
            next_step="Give more.",
        )
    step = max(1, CELLS // n_rows)
    for start in range(0, n_resamples, step):
        size = min(step, n_resamples - start)
        counts = [np.bincount(rng.integers(0, n_drawn, n_drawn), minlength=n_drawn) for _ in range(size)]
        yield np.stack(counts).astype(np.float64)[:, at]


def percentile_interval(value: float, drawn: np.ndarray, level: float = 0.95) -> Measured:
    """The middle `level` of the drawn values, undefined ones left out."""
    defined = drawn[np.isfinite(drawn)]
    if not len(defined) or value != value:
        return Measured(value, float("nan"), float("nan"))
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Measured(value, float(low), float(high))


def basic_interval(value: float, drawn: np.ndarray, level: float = 0.95, floor: float = 0.0) -> Measured:
    """The percentile interval mirrored at the value, for figures that noise inflates: calibration errors. It holds the value."""
    mirrored = percentile_interval(value, 2 * value - drawn, level)
    return Measured(value, max(floor, mirrored.low), max(value, mirrored.high))
