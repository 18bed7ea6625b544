"""Measures of fairness between two groups, each with bootstrap interval and verdict. Numpy alone: aif360's and fairlearn's figures
are `evals.tabular.fairness_reference`, which the tests and `assay tabular fairness` hold against these, to 1e-9.

report = fairness_of(privileged_and_not(outcome, frame, spec, "sex"), "sex")
report.passes                                     # every measure within FairnessRule

Differences and the ratio are unprivileged less (by) privileged, so a negative difference says that the unprivileged are worse off.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from data.errors import InvalidInput
from data.tabular.model import Measured
from evals.tabular.groups import Grouped
from evals.tabular.resampling import percentile_interval

MEASURES = (
    "statistical_parity_difference",
    "equal_opportunity_difference",
    "average_odds_difference",
    "disparate_impact",
    "theil_index",
)
UNPRIVILEGED, PRIVILEGED = 0, 1
Verdict = Literal["pass", "fail", "undecided", "no limit", "too small"]


class FairnessRule(BaseModel):
    """What counts as fair enough; defaults are the usual ones (aif360's guidance; four fifths and their inverse)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    max_difference: float = Field(default=0.1, ge=0)
    """Statistical parity, equal opportunity and average odds may differ by so much either way."""
    impact: tuple[float, float] = (0.8, 1.25)
    """Disparate impact lies between these."""
    max_theil: float | None = Field(default=None, ge=0)
    """The highest Theil index; none by default, for it measures errors between persons and no gap between groups."""
    certain: bool = False
    """Whether the whole interval must keep the limit; otherwise the figure alone, and an interval across it is only told."""
    min_rows: int = Field(default=30, ge=1)
    """Of each group, and of its rows whose label is good, and of those whose label is not: fewer decide nothing."""

    def bounds(self, measure: str) -> tuple[float, float] | None:
        if measure == "theil_index":
            return None if self.max_theil is None else (0.0, self.max_theil)
        return self.impact if measure == "disparate_impact" else (-self.max_difference, self.max_difference)


@dataclass(frozen=True)
class FairnessFigure:
    """`excess` is how far the figure lies outside, as a share of the limit: 0 within, 0.5 for 0.15 where 0.1 is allowed."""

    measure: str
    measured: Measured
    verdict: Verdict
    excess: float
    is_certain: bool
    """Whether the whole interval is on the same side as the figure."""


@dataclass(frozen=True)
class FairnessReport:
    attribute: str
    n_rows: tuple[int, int]
    """Unprivileged and privileged."""
    figures: dict[str, FairnessFigure]
    note: str = ""
    """Why a group is too small, if one is."""

    @property
    def passes(self) -> bool:
        return not self.broken

    @property
    def broken(self) -> list[FairnessFigure]:
        """What fails, or cannot be told to pass; the worst first."""
        wrong = [one for one in self.figures.values() if one.verdict in ("fail", "undecided", "too small")]
        return sorted(wrong, key=lambda one: -one.excess)


def fairness_of(
    grouped: Grouped,
    attribute: str,
    rule: FairnessRule = FairnessRule(),
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> FairnessReport:
    """The five measures of two groups. Raises: InvalidInput where one has no row."""
    cells = grouped.cells()
    sizes = cells.sum(axis=1).astype(int)
    if len(sizes) != 2 or not sizes.all():
        raise InvalidInput(
            f"{attribute}: {dict(zip(grouped.names, sizes.tolist(), strict=False))} rows; both groups need some.",
            field="attribute",
            next_step="Check `privileged` in the table's spec against the values of the column.",
        )
    values = measures_of(cells)
    drawn = measures_of(grouped.drawn_cells(n_resamples, seed))
    note = _too_small(cells, grouped.names, rule)
    figures = {
        name: _figure(name, percentile_interval(float(values[name]), drawn[name], level), rule, bool(note))
        for name in MEASURES
    }
    return FairnessReport(attribute, (int(sizes[0]), int(sizes[1])), figures, note)


def measures_of(cells: np.ndarray) -> dict[str, np.ndarray]:
    """The five measures of confusion matrices [..., 2 groups, (tp, fp, fn, tn)]; NaN where a group has no such row.

    Definitions as in aif360's ClassificationMetric; Theil index: Speicher et al. (KDD 2018), generalised entropy with alpha 1
    over each person's benefit, decision - label + 1.
    """
    tp, fp, fn, tn = (cells[..., kind] for kind in range(4))
    with np.errstate(divide="ignore", invalid="ignore"):
        selected = (tp + fp) / (tp + fp + fn + tn)
        recall, fall_out = tp / (tp + fn), fp / (fp + tn)
        gap = {name: rate[..., UNPRIVILEGED] - rate[..., PRIVILEGED] for name, rate in
               (("selected", selected), ("recall", recall), ("fall_out", fall_out))}  # fmt: skip
        return {
            "statistical_parity_difference": gap["selected"],
            "equal_opportunity_difference": gap["recall"],
            "average_odds_difference": (gap["recall"] + gap["fall_out"]) / 2,
            "disparate_impact": selected[..., UNPRIVILEGED] / selected[..., PRIVILEGED],
            "theil_index": _theil(*(kind.sum(axis=-1) for kind in (tp, fp, fn, tn))),
        }


def _theil(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
    """Benefits are 1 where the decision is right, 2 for a false positive, 0 for a false negative; 0 log 0 is 0."""
    n = tp + fp + fn + tn
    mean = (tp + tn + 2 * fp) / n
    return ((tp + tn) / mean * np.log(1 / mean) + 2 * fp / mean * np.log(2 / mean)) / n


def _figure(name: str, measured: Measured, rule: FairnessRule, is_small: bool) -> FairnessFigure:
    bounds = rule.bounds(name)
    if bounds is None:
        return FairnessFigure(name, measured, "no limit", 0.0, True)
    low, high = bounds
    excess = _excess(measured.value, low, high, ratio=name == "disparate_impact")
    is_within = excess == 0
    is_certain = _within(measured, low, high) if is_within else measured.low > high or measured.high < low
    verdict: Verdict = "pass" if is_within else "fail"
    if is_small:
        verdict = "too small"
    elif rule.certain and not is_certain:
        verdict = "undecided"
    return FairnessFigure(name, measured, verdict, excess, is_certain)


def _within(measured: Measured, low: float, high: float) -> bool:
    return low <= measured.low and measured.high <= high


def _excess(value: float, low: float, high: float, *, ratio: bool) -> float:
    if value != value:
        return float("inf")
    if low <= value <= high:
        return 0.0
    if not ratio:
        return abs(value) / max(high, 1e-12) - 1
    return low / max(value, 1e-12) - 1 if value < low else value / high - 1


def _too_small(cells: np.ndarray, names: tuple[str, ...], rule: FairnessRule) -> str:
    told = []
    for name, (tp, fp, fn, tn) in zip(names, cells, strict=True):
        for what, n in (("rows", tp + fp + fn + tn), ("whose label is good", tp + fn), ("whose label is not", fp + tn)):
            if n < rule.min_rows:
                told.append(f"{name}: {int(n)} {what}, fewer than {rule.min_rows}")
                break
    return "; ".join(told)
