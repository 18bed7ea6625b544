"""Performance over time: each period, with the labels that have come, against the baseline. Knows no model.

For periods whose labels are still to come, `evals.tabular.estimated`; whether to believe it, `evals.tabular.shift`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from data.errors import InvalidInput
from data.tabular.model import Measured
from evals.tabular.metrics import LESS_IS_BETTER, METRICS, Scored, drawn_values, values_of
from evals.tabular.resampling import N_RESAMPLES, percentile_interval

ChangeVerdict = Literal["worse", "no worse", "better", "undecided", "undefined"]


@dataclass(frozen=True)
class Change:
    """A metric in the baseline and in a period; `difference` is the period less the baseline, with its interval."""

    metric: str
    baseline: float
    period: float
    difference: Measured
    margin: float

    @property
    def verdict(self) -> ChangeVerdict:
        """Worse where the whole interval lies beyond 0; no worse where it excludes a loss of more than the margin."""
        low, high = self.difference.low, self.difference.high
        if low != low or high != high:
            return "undefined"
        if self.metric in LESS_IS_BETTER:
            low, high = -high, -low
        if high < 0:
            return "worse"
        if low > 0:
            return "better"
        return "no worse" if low >= -self.margin else "undecided"


def changes(
    baseline: Scored,
    period: Scored,
    *,
    margin: float = 0.02,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> list[Change]:
    """Every metric against the baseline; both sides are resampled, for the baseline is a sample too."""
    before, after = values_of(baseline), values_of(period)
    drawn_before = drawn_values(baseline, n_resamples=n_resamples, seed=seed)
    drawn_after = drawn_values(period, n_resamples=n_resamples, seed=seed + 1)
    found = []
    for name in METRICS:
        value = after[name] - before[name]
        drawn = drawn_after[name] - drawn_before[name]
        found.append(Change(name, before[name], after[name], percentile_interval(value, drawn, level), margin))
    return found


def early_bias(scores: np.ndarray, has_label: np.ndarray) -> float:
    """p of equal scores of rows with labels and of rows that wait (Kolmogorov and Smirnov); 1 with fewer than 20 of either.

    Labels that come early may be of other rows than those that come late; then the labelled rows do not stand for all.
    """
    if min(int(has_label.sum()), int((~has_label).sum())) < 20:
        return 1.0
    return float(ks_2samp(scores[has_label], scores[~has_label]).pvalue)


def windows(moments: pd.Series, by: str) -> pd.Series:
    """The period of each row as text. `by`: "value" for numbers such as a year, else month, quarter, week or year of a date."""
    if by == "value":
        return moments.astype(str)
    codes = {"week": "W", "month": "M", "quarter": "Q", "year": "Y"}
    if by not in codes or not pd.api.types.is_datetime64_any_dtype(moments):
        raise InvalidInput(
            f"Periods by {by!r} of a {moments.dtype} are not possible.",
            field="by",
            next_step=f"Use one of {', '.join(codes)} for a date, value for a number.",
        )
    return moments.dt.to_period(codes[by]).astype(str)


def mean_absolute_error(estimated: Sequence[float], realised: Sequence[float]) -> float:
    """Of estimates against what labels showed later. NaN for no pair."""
    gaps = np.abs(np.asarray(estimated, float) - np.asarray(realised, float))
    return float(np.nanmean(gaps)) if len(gaps) else float("nan")
