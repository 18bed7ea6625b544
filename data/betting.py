"""Anytime-valid evidence that one mean is above or below a margin, from bounded observations that come one at a time.

A gambler with one unit of money bets against a null hypothesis; under the null the money is a nonnegative supermartingale,
so by Ville's inequality it ever reaches 1/alpha with probability at most alpha, however often and whenever one looks.
Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B 2024; arXiv:2010.09686), the
capital process of section 4; Ramdas, Gruenwald, Vovk and Shafer, "Game-theoretic statistics and safe anytime-valid
inference" (Statistical Science 2023; arXiv:2210.01948). Rollouts and the gate both bet; this knows nothing of either.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FRACTIONS = np.geomspace(0.005, 0.95, 14)
"""Fractions of the largest admissible bet. The capital is split evenly over them: the mixture of bets that are each valid is
valid, and loses at most a factor 14 against the best of them (the "diversified" bets of the first paper)."""
BOLDEST = 0.999
BOLD_FRACTIONS = np.concatenate([FRACTIONS, np.full(6, BOLDEST)])
"""For short streams of which most steps say nothing (0): 30 % of the capital is staked almost whole, as an exact binomial
test would. Proves "within 0.05" after 78 steps without a difference, where `FRACTIONS` needs 110."""
SCALES = np.geomspace(0.1, 30, 10)
"""Of differences in [-1, 1], for bets on their sign and size."""


@dataclass(frozen=True)
class Observation:
    """An unbiased estimate of a difference, and the bounds that were known before it was seen."""

    value: float
    low: float
    high: float


class Wealth:
    """The money of a gambler whose capital is split evenly over several ways to bet."""

    def __init__(self, n_ways: int) -> None:
        self.log_wealth = np.zeros(n_ways)
        self.log_peak = 0.0

    def multiply(self, factors: np.ndarray) -> None:
        """Each way's money times its factor, which must have mean at most 1 under the null, given the past."""
        self.log_wealth = self.log_wealth + np.log(factors)
        self.log_peak = max(self.log_peak, self.log_now)

    @property
    def log_now(self) -> float:
        ways = self.log_wealth.tolist()  # of so few, plain floats take a sixth of numpy's time
        top = max(ways)
        return top + math.log(sum([math.exp(way - top) for way in ways]) / len(ways))

    @property
    def e_value(self) -> float:
        """The money now: evidence against the null; 1/alpha is enough to reject it at level alpha."""
        return math.exp(min(self.log_now, 700.0))

    @property
    def p_value(self) -> float:
        """One over the most money there ever was: valid whenever one looks (Ville's inequality)."""
        return math.exp(-self.log_peak)

    def has_reached(self, threshold: float) -> bool:
        """Whether the money was ever that much: a rejection stands even when the money shrinks afterwards."""
        return self.log_peak >= math.log(threshold)


class Capital(Wealth):
    """Money won against H0: E[value] <= margin (`sign` 1) or H0: E[value] >= margin (`sign` -1).

    Valid for any stream with E[value | past] on the null's side at each step: no identical distribution is needed.
    """

    def __init__(self, margin: float, sign: int, fractions: np.ndarray = FRACTIONS) -> None:
        super().__init__(len(fractions))
        self.margin, self.sign, self.fractions = margin, sign, fractions

    def bet(self, observation: Observation) -> None:
        gain = self.sign * (observation.value - self.margin)
        worst = self.sign * ((observation.low if self.sign > 0 else observation.high) - self.margin)
        if worst >= 0:  # the null is impossible at this step; betting on it would be a free lunch, so nothing is staked
            return
        self.multiply(1 + self.fractions * (gain / -worst))


class SymmetricCapital(Wealth):
    """Money won against H0: of two differences that are each other's opposite, the negative one is no likelier.

    That holds exactly where the two sides of a pair could be swapped, whatever the size and shape of their differences, and needs
    no bounds. Each step stakes tanh(scale x difference): odd, so its mean is 0 or less for the gambler; on a small scale it is a t
    test, on a large one a sign test. exp(-s d) / cosh(s d) = 1 - tanh(s d): de la Pena, "A general class of exponential
    inequalities for martingales and ratios" (Annals of Probability 1999); Ramdas, Ruf, Larsson and Koolen, "Admissible
    anytime-valid sequential inference must rely on nonnegative martingales" (arXiv:2009.03167), section 6 on symmetric laws.
    """

    def __init__(self, scales: np.ndarray = SCALES) -> None:
        super().__init__(len(scales))
        self.scales = scales

    def bet(self, difference: float) -> None:
        self.multiply(1 - symmetric_stakes(self.scales * difference))


def symmetric_stakes(scaled: np.ndarray) -> np.ndarray:
    """What is staked on a scaled difference; never everything, so that one loss does not end the game."""
    return np.clip(np.tanh(scaled), -BOLDEST, BOLDEST)


def interval(
    observations: Sequence[Observation], alpha: float, steps: int = 200, fractions: np.ndarray = FRACTIONS
) -> tuple[float, float]:
    """A (1 - alpha) confidence sequence at its newest point: every margin in [-1, 1] that no gambler has refuted.

    Holds for all times at once. Resolution 2 / `steps`; costs steps x observations.
    """
    low, high = -1.0, 1.0
    if not observations:
        return low, high
    values, lows, highs = (np.array([getattr(o, name) for o in observations]) for name in ("value", "low", "high"))
    limit = math.log(2 / alpha)
    for margin in np.linspace(-1, 1, steps + 1):
        if _peak(values - margin, margin - lows, fractions) >= limit:
            low = max(low, float(margin))
        if _peak(margin - values, highs - margin, fractions) >= limit:
            high = min(high, float(margin))
    return low, high


def _peak(gains: np.ndarray, worsts: np.ndarray, fractions: np.ndarray) -> float:
    """The highest log capital on the way. `gains` and `worsts` (the most one can lose, positive) have one entry per step."""
    odds = np.where(worsts > 0, gains / np.where(worsts > 0, worsts, 1.0), 0.0)
    paths = np.log1p(fractions[:, None] * odds[None, :]).cumsum(axis=1)
    top = paths.max(axis=0)
    return float((top + np.log(np.exp(paths - top).mean(axis=0))).max())


def paired(candidate: float, incumbent: float) -> Observation:
    """The difference of two values in [0, 1] seen on the same unit."""
    return Observation(candidate - incumbent, -1.0, 1.0)


def assigned(value: float, *, is_candidate: bool, share: float, centre: float) -> Observation:
    """The difference of two means from one unit that chance sent to the candidate (with probability `share`) or not.

    Inverse-propensity weights: (A/p - (1-A)/(1-p)) (Y - c) has mean E[Y(1)] - E[Y(0)] for every `centre` c fixed before Y
    is seen, because E[A/p - (1-A)/(1-p)] = 0. A c near the mean makes it precise (a control variate). With c = 0.5 a unit
    whose value is the neutral 0.5 adds exactly nothing, so units that never say anything may be left out.
    """
    up, down = 1 / share, 1 / (1 - share)
    weight = up if is_candidate else -down
    low = min(-centre * up, -(1 - centre) * down)
    high = max((1 - centre) * up, centre * down)
    return Observation(weight * (value - centre), low, high)
