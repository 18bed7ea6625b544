"""Intervals for shares, without a library: Wilson's for reading, Clopper and Pearson's exact bound for promises."""

import math
from statistics import NormalDist


def wilson(n_hits: int, n: int, confidence: float = 0.95) -> list[float] | None:
    """The score interval of a share (Wilson 1927), rounded; nothing for no trials."""
    if n == 0:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = n_hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return [round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)]


def upper_bound(n_hits: int, n: int, confidence: float = 0.95) -> float:
    """The one-sided exact upper bound of a share (Clopper & Pearson 1934): 1 - 0.05^(1/n) when nothing was hit."""
    if n_hits >= n:
        return 1.0
    low, high = n_hits / n, 1.0
    for _ in range(60):  # bisection: the bound is where seeing so few becomes that unlikely
        middle = (low + high) / 2
        if _at_most(n_hits, n, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(k: int, n: int, p: float) -> float:
    """P(X <= k) of a binomial variable."""
    if p <= 0.0:
        return 1.0
    log_p, log_q = math.log(p), math.log1p(-p) if p < 1 else -math.inf
    terms = (
        math.exp(math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * log_p + (n - i) * log_q)
        for i in range(k + 1)
    )
    return math.fsum(terms)
