"""How good, for whom: every metric by segment with intervals, and which segments are worse than the rest. Knows no model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from data.tabular.cells import texts
from data.tabular.model import Measured
from data.tabular.table_spec import TableSpec
from evals.statistics.multiplicity import holm
from evals.tabular.metrics import LESS_IS_BETTER, Scored, drawn_values, intervals, values_of

MIN_ROWS = 30
MIN_OF_EACH_CLASS = 5
N_RANGES = 4
MAX_VALUES = 12
"""Of a category, the most frequent; the others are one segment together."""
N_RESAMPLES = 200


@dataclass(frozen=True)
class Segment:
    """`difference` is this segment's metric less that of all other rows; `p_value` of no difference, Holm-adjusted over all segments."""

    column: str
    value: str
    n_rows: int
    n_positive: int
    metrics: dict[str, Measured]
    difference: float
    p_value: float
    note: str
    """Why there are no figures, where there are none."""

    def is_worse(self, metric: str, alpha: float = 0.05) -> bool:
        sign = -1 if metric in LESS_IS_BETTER else 1
        return not self.note and self.p_value < alpha and sign * self.difference < 0


def by_segment(
    scored: Scored,
    frame: pd.DataFrame,
    spec: TableSpec,
    columns: Sequence[str],
    *,
    metric: str = "roc_auc",
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> list[Segment]:
    """Each value of each column, numbers and dates by quarters of the rows; `metric` decides who is worse."""
    found, scores = [], []
    for column in columns:
        for value, rows in _values(frame[column], spec.columns[column].kind):
            segment, z = _measured(scored, column, value, rows, metric, n_resamples, seed)
            found.append(segment)
            scores.append(2 * norm.sf(abs(z)))
    tested = [at for at, one in enumerate(found) if not one.note]
    adjusted = dict(zip(tested, holm([scores[at] for at in tested]), strict=True))
    return [
        Segment(**{**one.__dict__, "p_value": float(adjusted[at])}) if at in adjusted else one
        for at, one in enumerate(found)
    ]


def _measured(
    scored: Scored, column: str, value: str, rows: np.ndarray, metric: str, n_resamples: int, seed: int
) -> tuple[Segment, float]:
    n_rows, n_positive = int(rows.sum()), int(scored.labels[rows].sum())
    note = _too_few(n_rows, n_positive) or ("all rows" if rows.all() else "")
    if note:
        return Segment(column, value, n_rows, n_positive, {}, float("nan"), 1.0, note), 0.0
    inside, outside = scored.where(rows), scored.where(~rows)
    values, drawn = values_of(inside), drawn_values(inside, n_resamples=n_resamples, seed=seed)
    rest, drawn_rest = values_of(outside), drawn_values(outside, n_resamples=n_resamples, seed=seed + 1)
    difference = values[metric] - rest[metric]
    apart = drawn[metric] - drawn_rest[metric]
    spread = float(apart[np.isfinite(apart)].std()) if np.isfinite(apart).any() else 0.0
    z = difference / spread if spread and difference == difference else 0.0
    return Segment(column, value, n_rows, n_positive, intervals(values, drawn), difference, 1.0, ""), z


def _too_few(n_rows: int, n_positive: int) -> str:
    if n_rows < MIN_ROWS:
        return f"too few: {n_rows} rows, {MIN_ROWS} are needed"
    if min(n_positive, n_rows - n_positive) < MIN_OF_EACH_CLASS:
        return f"too few: {n_positive} positives of {n_rows}, {MIN_OF_EACH_CLASS} of each class are needed"
    return ""


def _values(cells: pd.Series, kind: str) -> Iterator[tuple[str, np.ndarray]]:
    """Segments as (name, bool [n]); every row is in one."""
    is_missing = cells.isna().to_numpy()
    if kind in ("number", "integer", "date") and cells.nunique() > MAX_VALUES:
        ranges = pd.qcut(cells, N_RANGES, duplicates="drop")
        for one in ranges.cat.categories:
            yield _range(one, kind), (ranges == one).to_numpy(dtype=bool)
    else:
        words = texts(cells)
        often = words.value_counts().index[:MAX_VALUES]
        for word in sorted(often, key=str):
            yield str(word), (words == word).to_numpy(dtype=bool)
        others = ~words.isin(often).to_numpy(dtype=bool) & ~is_missing
        if others.any():
            yield "(other)", others
    if is_missing.any():
        yield "(missing)", is_missing


def _range(one: pd.Interval, kind: str) -> str:
    if kind == "date":
        return f"{one.left:%Y-%m-%d} to {one.right:%Y-%m-%d}"
    return f"{one.left:g} to {one.right:g}"
