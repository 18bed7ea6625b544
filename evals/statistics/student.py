"""Student's t for whole degrees of freedom, in closed form, so that the gate needs no SciPy."""

import math


def t_cdf(t: float, df: int) -> float:
    """P(T <= t). Abramowitz and Stegun 26.7.3 (odd df) and 26.7.4 (even df): finite sums."""
    angle = math.atan(abs(t) / math.sqrt(df))
    sine, cosine = math.sin(angle), math.cos(angle)
    term, total = (cosine, 0.0) if df % 2 else (1.0, 0.0)
    for k in range(3 if df % 2 else 2, df + 1, 2):  # each next power of the cosine, up to cos^(df-2)
        total += term
        term *= cosine**2 * (k - 1) / k
    two_sided = 2 / math.pi * (angle + sine * total) if df % 2 else sine * total
    return 0.5 + math.copysign(two_sided / 2, t)


def t_quantile(p: float, df: int) -> float:
    """The t with P(T <= t) = p, by bisection."""
    if p < 0.5:
        return -t_quantile(1 - p, df)
    low, high = 0.0, 2.0
    while t_cdf(high, df) < p:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, df) < p else (low, middle)
    return (low + high) / 2
