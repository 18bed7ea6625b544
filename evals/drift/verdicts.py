"""From an effect to a verdict that does not depend on how many rows there are.

An effect of samples is too large on average even where nothing changed; that mean under the null is taken off. It alarms where what is left is above
the least effect that matters by more than the noise that the budget allows for. With few rows the noise decides, with many the least effect.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.drift.columns import Binning, Counts, bootstrap_draws, effect_of, null_draws, shares
from evals.drift.tails import tail_probability, upper_quantile

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
    null = effect(*null_draws(reference, int(window.sum()), seed=seed)) * inflation
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
    rng = np.random.default_rng(0)
    null = np.abs(
        rng.binomial(max(n, 1), pooled, 20_000) / max(n, 1) - rng.binomial(max(m, 1), pooled, 20_000) / max(m, 1)
    )
    null = null * np.sqrt(inflation)
    value = abs(q - p)
    return Verdict(
        value,
        max(0.0, value - 1.96 * spread),
        min(1.0, value + 1.96 * spread),
        least + upper_quantile(null, alpha),
        tail_probability(null, value),
    )


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
