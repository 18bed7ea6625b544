"""How many units an A/B test needs, said before it begins: by simulating the very test that will decide. Reads no data.

plan_trial(TrialPlan(metric=Metric(name="wrong", min_lift=0.01), share=0.5, base=0.92, lift=0.03))

The sequential test may end earlier, and looking at it costs nothing; in exchange it needs more units than a test that is looked at once
(`n_fixed`: two proportions, one-sided; Fleiss, Levin and Paik, "Statistical Methods for Rates and Proportions", 2003, chapter 4).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from data.betting import FRACTIONS
from data.errors import InvalidInput
from serving.rollout.policy import Metric, RolloutPolicy

N_PATHS = 200
FIRST_HORIZON = 2_000
MOST_UNITS = 256_000
"""Beyond this a trial is no plan."""


@dataclass(frozen=True)
class TrialPlan:
    """What is assumed. `base` is the incumbent's mean goodness in [0, 1] (1 - rate where lower is better)."""

    metric: Metric
    share: float
    base: float
    lift: float
    """The true difference that is to be found with probability `power`."""
    power: float = 0.8
    alpha: float = RolloutPolicy().alpha_promote

    def __post_init__(self) -> None:
        if not 0 < self.base < 1 or not 0 < self.base + self.lift <= 1:
            raise InvalidInput(
                f"A goodness of {self.base:g} with a lift of {self.lift:g} does not lie in 0..1.", field="lift"
            )
        if self.lift <= self.metric.margin:
            raise InvalidInput(
                f"A true lift of {self.lift:g} can never be proven to be above {self.metric.margin:g}.",
                field="lift",
                next_step="Expect more, or ask for less: min_lift.",
            )
        if not 0 < self.share < 1 or not 0.5 <= self.power < 1:
            raise InvalidInput("share lies in 0..1 and power in 0.5..1.", field="share")


@dataclass(frozen=True)
class TrialSize:
    """Units of both arms together, and the candidate's alone."""

    n_units: int
    """After so many the test has proven the lift with probability `power`."""
    n_median: int
    n_candidate: int
    n_fixed: int
    """What a test would need that is looked at once, at the end."""


def plan_trial(plan: TrialPlan, *, n_paths: int = N_PATHS, seed: int = 0) -> TrialSize:
    """Simulate outcomes of 0 and 1, the most variable there are. Raises: InvalidInput where no reasonable size is enough."""
    horizon = FIRST_HORIZON
    while horizon <= MOST_UNITS:
        reached = np.sort([_units_until(plan, horizon, np.random.default_rng([seed, path])) for path in range(n_paths)])
        needed = reached[math.ceil(plan.power * n_paths) - 1]
        if needed < math.inf:
            return TrialSize(
                n_units=int(needed),
                n_median=int(reached[n_paths // 2]),
                n_candidate=math.ceil(needed * plan.share),
                n_fixed=fixed_size(plan),
            )
        horizon *= 4
    raise InvalidInput(
        f"Even {MOST_UNITS} units do not prove a lift of {plan.lift:g} above {plan.metric.margin:g} with power {plan.power:g}.",
        field="lift",
        next_step="Ask for less: a smaller min_lift, or a share nearer to a half.",
    )


def fixed_size(plan: TrialPlan) -> int:
    """Units of both arms for a one-sided z test of two proportions at the end."""
    z = NormalDist().inv_cdf(1 - plan.alpha) + NormalDist().inv_cdf(plan.power)
    candidate = min(plan.base + plan.lift, 1 - 1e-9)
    variance = candidate * (1 - candidate) / plan.share + plan.base * (1 - plan.base) / (1 - plan.share)
    return math.ceil(variance * (z / (plan.lift - plan.metric.margin)) ** 2)


def _units_until(plan: TrialPlan, horizon: int, rng: np.random.Generator) -> float:
    """Units until one gambler's money reaches 1/alpha (`data.betting.Capital`, `assigned`); infinite beyond the horizon."""
    is_candidate = rng.random(horizon) < plan.share
    value = (rng.random(horizon) < plan.base + plan.lift * is_candidate).astype(np.float64)
    up, down = 1 / plan.share, 1 / (1 - plan.share)
    centre = _centres(plan, is_candidate, value)
    gain = np.where(is_candidate, up, -down) * (value - centre) - plan.metric.margin
    worst = np.maximum(centre * up, (1 - centre) * down) + plan.metric.margin
    paths = np.log1p(FRACTIONS[:, None] * (gain / worst)[None, :]).cumsum(axis=1)
    top = paths.max(axis=0)
    money = top + np.log(np.exp(paths - top).mean(axis=0))
    found = np.flatnonzero(money >= math.log(1 / plan.alpha))
    return float(found[0] + 1) if len(found) else math.inf


def _centres(plan: TrialPlan, is_candidate: np.ndarray, value: np.ndarray) -> np.ndarray:
    """As `serving.rollout.judge` fixes them: the means of both arms before each unit."""
    means = {}
    for arm in (True, False):
        mine = is_candidate == arm
        sums, counts = np.cumsum(value * mine), np.cumsum(mine)
        before_sum, before_count = np.concatenate([[0], sums[:-1]]), np.concatenate([[0], counts[:-1]])
        means[arm] = (before_sum + 0.5) / (before_count + 1)
    return np.asarray((1 - plan.share) * means[True] + plan.share * means[False])
