"""The upper tail of a null distribution from a sample of it, also where the sample is too small to reach there.

Beyond a high threshold, exceedances follow a generalised Pareto law (Pickands, Annals of Statistics 1975); its two parameters by
probability-weighted moments: Hosking and Wallis, "Parameter and quantile estimation for the generalized Pareto distribution"
(Technometrics 1987), equations 9 and 10.
"""

import numpy as np
from numpy.typing import NDArray

ENOUGH = 20
"""Draws above a quantile that make the empirical one good enough."""
TAIL = 0.1
"""The share of the draws that the tail is fitted to."""


def upper_quantile(draws: NDArray[np.floating], alpha: float) -> float:
    """The value that is exceeded with probability `alpha`."""
    finite = np.sort(np.asarray(draws, np.float64))
    if alpha * len(finite) >= ENOUGH:
        return float(np.quantile(finite, 1 - alpha))
    n_tail = max(10, int(TAIL * len(finite)))
    threshold = float(finite[-n_tail - 1])
    above = finite[-n_tail:] - threshold
    share = n_tail / len(finite)
    if alpha >= share or above.mean() <= 0:
        return float(np.quantile(finite, 1 - alpha))
    shape, scale = _pareto(above)
    ratio = share / alpha
    return threshold + scale * (np.log(ratio) if abs(shape) < 1e-6 else (ratio**shape - 1) / shape)


def tail_probability(draws: NDArray[np.floating], value: float) -> float:
    """How likely a draw is at least `value`, never 0: of n draws none above it says less than 1 / (n + 1)."""
    finite = np.asarray(draws, np.float64)
    return float((1 + (finite >= value).sum()) / (1 + len(finite)))


def _pareto(above: NDArray[np.floating]) -> tuple[float, float]:
    """Shape (0 for an exponential tail) and scale; the shape is kept where moments exist and a tail has no end."""
    n = len(above)
    first = float(above.mean())
    weights = (n - np.arange(1, n + 1)) / (n - 1) if n > 1 else np.zeros(1)
    second = float((weights * np.sort(above)).mean())
    shape = float(np.clip(2 - first / max(first - 2 * second, 1e-300), -0.2, 0.4))
    return shape, first * (1 - shape)
