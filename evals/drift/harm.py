"""What a shift of a table is estimated to cost, in accuracy or AUC, before labels arrive. Knows labels of the reference alone.

**One column.** The reference's rows are weighted by how much likelier their value of the column is in the window (importance weighting: Shimodaira,
Journal of Statistical Planning and Inference 2000). What performance falls by is what that column's shift alone would cost, if P(label | row)
stayed. **All of the window.** `evals.tabular.estimated`: the figures expected from the window's scores, calibrated on the reference.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.tabular.table import target_of
from evals.drift.records import Cause, MonitorValue
from evals.drift.tabular import Column, TableBaseline, bins_of, counted

HEAVIEST = 20.0
"""No row weighs more: a value that the reference hardly has says little about performance there."""
MOST_TOLD = 3
"""Values named in a cause."""
Loss = Literal["accuracy", "roc_auc"]
UNITS = {"accuracy": "accuracy", "roc_auc": "AUC"}


@dataclass(frozen=True)
class TableHarm:
    """Losses; positive is worse. `total` is None without scores or labels in the reference."""

    unit: str
    total: float | None
    low: float | None
    high: float | None
    by_column: dict[str, float]

    def unexplained(self, columns: Iterable[str]) -> float | None:
        """What is left of a loss when the most harmful of these columns has its part."""
        most = max((self.by_column.get(name, 0.0) for name in columns), default=0.0)
        return max(0.0, self.total - most) if self.total is not None and self.total > 0 and most > 0 else self.total


def table_harm(baseline: TableBaseline, window: pd.DataFrame, *, n_draws: int = 50) -> TableHarm:
    config = baseline.config
    unit = UNITS[config.loss]
    known = _scored(baseline)
    if known is None or config.score not in window:
        return TableHarm(unit, None, None, None, {})
    labels, scores = known
    weights = {c.name: column_weights(c, baseline.reference, window) for c in _inputs(baseline, window)}
    usual = performance(labels, scores, config.threshold, config.loss)
    by_column = {n: usual - performance(labels, scores, config.threshold, config.loss, w) for n, w in weights.items()}
    from evals.tabular.estimated import estimate  # with scikit-learn: only where there are scores
    from evals.tabular.metrics import Scored

    reference = Scored(labels, scores, threshold=config.threshold)
    expected = estimate(reference, window[config.score].to_numpy(np.float64), n_draws=n_draws).metrics[config.loss]
    return TableHarm(unit, usual - expected.value, usual - expected.high, usual - expected.low, by_column)


def true_loss(baseline: TableBaseline, window: pd.DataFrame) -> float | None:
    """What was lost, where the window has its labels."""
    config, known = baseline.config, _scored(baseline)
    if known is None or baseline.spec.target not in window:
        return None
    rows = window[window[baseline.spec.target].notna()]
    if len(rows) < config.min_rows or config.score not in rows:
        return None
    now = target_of(rows, baseline.spec), rows[config.score].to_numpy(np.float64)
    return performance(*known, config.threshold, config.loss) - performance(*now, config.threshold, config.loss)


def column_weights(column: Column, reference: pd.DataFrame, window: pd.DataFrame) -> NDArray[np.float64]:
    """One weight per reference row, of mean 1: window share over reference share of its bin, missing cells a bin of their own."""
    counts, n_missing, _ = counted(column, window[column.name])
    ours = np.append(column.counts, column.n_missing) + 0.5
    theirs = np.append(counts, n_missing) + 0.5
    ratio = np.minimum((theirs / theirs.sum()) / (ours / ours.sum()), HEAVIEST)
    weights = ratio[bins_of(column, reference[column.name])]  # -1, a missing cell, is the last bin
    return weights / weights.mean()


def performance(
    labels: NDArray, scores: NDArray, threshold: float, loss: Loss, weights: NDArray[np.float64] | None = None
) -> float:
    """Accuracy or ROC-AUC of weighted rows."""
    w = np.ones(len(labels)) if weights is None else weights
    if loss == "accuracy":
        return float((w * ((scores >= threshold) == (labels == 1))).sum() / w.sum())
    order = np.argsort(scores, kind="stable")
    positive, negative = (w * (labels == 1))[order], (w * (labels == 0))[order]
    ranked = scores[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    up, down = positive.cumsum()[last], negative.cumsum()[last]
    won = np.diff(np.append(0, up)) * (np.append(0, down)[:-1] + np.diff(np.append(0, down)) / 2)
    total = up[-1] * down[-1]
    return float(won.sum() / total) if total > 0 else float("nan")


def table_causes(
    baseline: TableBaseline, window: pd.DataFrame, values: Sequence[MonitorValue], harm: TableHarm
) -> tuple[Cause, ...]:
    """The most harmful first: a column that alarmed by its own harm, what is of all columns by the harm that no such column explains."""
    alarmed = [value for value in values if value.is_alarm]
    columns = {column.name: column for column in baseline.columns}
    left = harm.unexplained(value.monitor.partition(".")[2] for value in alarmed)
    causes = []
    for value in alarmed:
        kind, _, name = value.monitor.partition(".")
        column = columns.get(name)
        if column is not None:
            causes.append(_column_cause(value, kind, column, window, harm))
        elif value.monitor in ("target", "prediction"):
            causes.append(
                _whole_cause(
                    value,
                    left,
                    f"The {value.monitor} moved",
                    "Measure performance with labels: assay tabular performance.",
                )
            )
        elif value.monitor == "schema":
            told = f"Columns that are gone: {value.detail['gone']}; unknown ones: {value.detail['unknown']}"
            causes.append(
                _whole_cause(value, harm.total, told, "Mend the source, or the spec of the table: assay data check.")
            )
        elif value.monitor == "volume":
            causes.append(
                _whole_cause(value, harm.total, f"Only {value.value:.0f} rows came", "Ask who delivers the table.")
            )
        else:
            causes.append(
                _whole_cause(
                    value, left, "Rows are unlike those of the reference, all columns together", _retrain(harm)
                )
            )
    return tuple(sorted(causes, key=lambda cause: -(cause.harm if cause.harm is not None else -1.0)))


def _column_cause(value: MonitorValue, kind: str, column: Column, window: pd.DataFrame, harm: TableHarm) -> Cause:
    lost = harm.by_column.get(column.name)
    if kind == "missing":
        told = f"{value.detail['window_share']:.1%} of {column.name} are missing, {value.detail['reference_share']:.1%} in the reference."
        return Cause(
            monitor=value.monitor,
            told=told,
            harm=lost,
            slice=f"{column.name} is missing",
            action="Mend the source of the column.",
        )
    counts, _, n_new = counted(column, window[column.name])
    if kind == "new":
        new = [str(v) for v in window[column.name].dropna().unique() if str(v) not in column.known][:MOST_TOLD]
        told = f"{n_new} rows have values of {column.name} that the reference does not know: {', '.join(new)}."
        return Cause(
            monitor=value.monitor,
            told=told,
            harm=lost,
            slice=f"{column.name} in {new}",
            examples=tuple(new),
            action=_retrain(harm),
        )
    ours, theirs = column.counts / max(column.counts.sum(), 1), counts / max(counts.sum(), 1)
    grown = [k for k in np.argsort(ours - theirs)[:MOST_TOLD] if theirs[k] > ours[k]]
    moves = "; ".join(f"{_bin_name(column, k)} {ours[k]:.1%} to {theirs[k]:.1%}" for k in grown)
    return Cause(
        monitor=value.monitor,
        told=f"{column.name} moved: {moves}.",
        harm=lost,
        slice=f"{column.name}: {', '.join(_bin_name(column, k) for k in grown)}",
        share=float(theirs[grown].sum()) if grown else None,
        examples=tuple(_bin_name(column, k) for k in grown),
        action=_retrain(harm),
    )


def _whole_cause(value: MonitorValue, lost: float | None, told: str, action: str) -> Cause:
    return Cause(monitor=value.monitor, told=f"{told}.", harm=lost, share=1.0, action=action)


def _retrain(harm: TableHarm) -> str:
    if harm.low is not None and harm.low > 0:
        return f"Label rows of this window and retrain: the estimated loss of {harm.unit} is above 0 with its whole interval."
    return "Label a few hundred rows of this window; retrain if the loss is real."


def _bin_name(column: Column, k: int) -> str:
    if not column.is_number:
        return column.binning.values[k] if k < len(column.binning.values) else "other values"
    edges = column.binning.edges
    if len(edges) == 0:
        return "all"
    low = f"{edges[k - 1]:g}" if k else ""
    high = f"{edges[k]:g}" if k < len(edges) else ""
    return f"{low} to {high}" if low and high else f"below {high}" if high else f"from {low}"


def _inputs(baseline: TableBaseline, window: pd.DataFrame) -> list[Column]:
    outputs = (baseline.config.score, baseline.spec.target)
    return [column for column in baseline.columns if column.name in window and column.name not in outputs]


def _scored(baseline: TableBaseline) -> tuple[NDArray, NDArray] | None:
    """Labels and scores of the reference, where it has both for every row."""
    config, target = baseline.config, baseline.spec.target
    if not config.score or config.score not in baseline.reference or target not in baseline.reference:
        return None
    if baseline.reference[target].isna().any():
        return None
    return target_of(baseline.reference, baseline.spec), baseline.reference[config.score].to_numpy(np.float64)
