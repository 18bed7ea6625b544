"""From an effect to a verdict that does not depend on how many rows there are.

An effect of samples is too large on average even where nothing changed; that mean under the null is taken off. It alarms where what is left is above
the least effect that matters by more than the noise that the budget allows for. With few rows the noise decides, with many the least effect.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evals.drift.columns import Binning, Counts, bootstrap_draws, effect_of, null_draws, shares
from evals.drift.tails import tail_probability, upper_quantile

N_SHARES = 10_000
SQUARED = frozenset({"js"})
"""Effects that are compared squared and told as their root: a squared distance is what sampling adds to."""


@dataclass(frozen=True)
class Verdict:
    """`value` above `threshold` alarms; 95 % of repetitions would fall in `low` to `high`."""

    value: float
    low: float
    high: float
    threshold: float
    p_value: float

    @property
    def is_alarm(self) -> bool:
        return self.value > self.threshold


def judged(
    name: str,
    binning: Binning,
    reference: Counts,
    window: Counts,
    *,
    alpha: float,
    least: float,
    inflation: float = 1.0,
    seed: int = 0,
) -> Verdict:
    """One effect of one column. `inflation`: how much more than by chance windows of the reference differ (evals.drift.blocks)."""
    effect = effect_of(name, binning)
    raw = float(effect(shares(reference), shares(window)))
    null = _null(name, binning.centres.tobytes(), reference.tobytes(), _fewer(int(window.sum())), seed) * inflation
    centre = float(null.mean())
    again = effect(bootstrap_draws(reference, seed=seed + 1), bootstrap_draws(window, seed=seed + 2))
    spread = float(again.std())
    return _told(name, raw - centre, spread, null - centre, alpha, least)


def judged_share(
    reference: tuple[int, int], window: tuple[int, int], *, alpha: float, least: float, inflation: float = 1.0
) -> Verdict:
    """The difference of two shares, (hits, rows) each: missing cells, new values, abstentions. Either direction counts."""
    (a, m), (b, n) = reference, window
    p, q = a / max(m, 1), b / max(n, 1)
    pooled = (a + b + 1) / (m + n + 2)
    spread = float(np.sqrt(pooled * (1 - pooled) * (1 / max(m, 1) + 1 / max(n, 1)) * inflation))
    null = _share_null(round(pooled, 4), _fewer(m), _fewer(n)) * np.sqrt(inflation)
    value = abs(q - p)
    return Verdict(
        value,
        max(0.0, value - 1.96 * spread),
        min(1.0, value + 1.96 * spread),
        least + upper_quantile(null, alpha),
        tail_probability(null, value),
    )


@lru_cache(maxsize=1024)
def _null(name: str, centres: bytes, reference: bytes, n: int, seed: int) -> NDArray[np.float64]:
    """Draws of an effect where nothing changed; many windows of a watch have the same size."""
    counts = np.frombuffer(reference, np.int64)
    effect = effect_of(name, Binning(np.empty(0), (), np.frombuffer(centres, np.float64)))
    return effect(*null_draws(counts, n, seed=seed))


@lru_cache(maxsize=4096)
def _share_null(share: float, m: int, n: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    return np.abs(rng.binomial(n, share, N_SHARES) / n - rng.binomial(m, share, N_SHARES) / m)


def _fewer(n: int) -> int:
    """At least 1, rounded down to two digits: with fewer rows the noise is larger, by 5 % at most."""
    step = 10 ** max(0, len(str(n)) - 2)
    return max(1, n // step * step)


def _told(name: str, value: float, spread: float, null: NDArray, alpha: float, least: float) -> Verdict:
    squared = name in SQUARED
    bound = (least**2 if squared else least) + upper_quantile(null, alpha)
    tell = _root if squared else float
    return Verdict(
        tell(value),
        tell(max(0.0, value - 1.96 * spread)),
        tell(value + 1.96 * spread),
        tell(bound),
        tail_probability(null, value),
    )


def _root(squared: float) -> float:
    return float(np.sqrt(max(0.0, squared)))
