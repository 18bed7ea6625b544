"""Performance over time: predictions joined with the labels that have come, each period against the baseline. Knows no model.

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


@dataclass(frozen=True)
class Joined:
    """Predictions with labels where they have come. `early_bias` is the p of equal scores of labelled and waiting rows."""

    frame: pd.DataFrame
    n_waiting: int
    n_unknown: int
    """Labels of rows that nobody scored."""
    early_bias: float

    @property
    def n_labelled(self) -> int:
        return len(self.frame)


def joined(
    predictions: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    key: str,
    known_at: str = "",
    as_of: pd.Timestamp | None = None,
) -> Joined:
    """Join predictions (`key`, `score`) with labels (`key`, `label`), those known by `as_of` alone.

    Labels that come early may be of other rows than those that come late; where the scores of both differ (Kolmogorov and
    Smirnov), the labelled rows do not stand for all. Raises: InvalidInput for a repeated key.
    """
    for name, side in (("predictions", predictions), ("labels", labels)):
        if twice := side[key][side[key].duplicated()].head(3).tolist():
            raise InvalidInput(
                f"{name}: {key} {', '.join(map(repr, twice))} stands there twice.",
                field=key,
                next_step="Keep the newest of each.",
            )
    come = labels[labels["label"].notna()]
    if as_of is not None and known_at:
        come = come[come[known_at] <= as_of]
    both = predictions.merge(come, on=key, how="inner", validate="one_to_one")
    waiting = predictions[~predictions[key].isin(come[key])]
    bias = 1.0
    if len(both) >= 20 and len(waiting) >= 20:
        bias = float(ks_2samp(both["score"], waiting["score"]).pvalue)
    return Joined(both, len(waiting), len(come) - len(both), bias)


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
