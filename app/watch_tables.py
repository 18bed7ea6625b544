"""Tables of a tabular watch: reads, slices and cuts them into windows. Imports pandas; loaded only for tabular watches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.errors import InvalidInput
from data.tabular.cells import texts
from data.tabular.table import load_table
from data.tabular.table_spec import FileSource, TableSpec, load_spec
from evals.drift.config import Slice, TabularWatch
from evals.drift.findings import Bounds, Findings, is_too_few, table_findings, too_few
from evals.drift.tabular import TableBaseline


@dataclass(frozen=True)
class TableData:
    """A watch's table, both sides of it."""

    watch: TabularWatch
    spec: TableSpec
    reference: pd.DataFrame
    window: pd.DataFrame

    @classmethod
    def of(cls, watch: TabularWatch) -> "TableData":
        """Raises: NotFound; InvalidInput for a column or slice that is not there."""
        spec = load_spec(watch.table)
        _check_columns(watch, spec)
        whole = load_table(spec)
        return cls(watch, spec, sliced(whole, watch.reference, spec), sliced(whole, watch.current, spec))

    @property
    def sides(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Reference and window, features and score alone: what evidently is shown."""
        names = [
            n for n in (*self.spec.features, self.watch.score) if n and n in self.window and n not in self.watch.ignore
        ]
        return self.reference[names], self.window[names]

    def findings(self, at: datetime) -> Findings:
        bounds = _bounds(self.window, self.spec, at, self.watch.window.days)
        if is_too_few(self.watch, len(self.reference), len(self.window)):
            return too_few(self.watch, bounds, len(self.reference), len(self.window))
        return table_findings(TableBaseline(self.watch, self.spec, self.reference), self.window, bounds)

    def ids(self, places: NDArray[np.int64]) -> Sequence[object]:
        """Ids of rows of the window; their places in the table where it names none."""
        rows = self.window.iloc[places]
        return list(rows[self.spec.id]) if self.spec.id in rows else list(rows.index)


def sliced(frame: pd.DataFrame, part: Slice, spec: TableSpec) -> pd.DataFrame:
    """Rows that a slice names. Raises: InvalidInput."""
    if part.path is not None:
        suffix = "parquet" if part.path.suffix in (".parquet", ".pq") else "csv"
        other = spec.model_copy(update={"source": FileSource(kind=suffix, paths=(part.path,))})
        frame = load_table(other)
    keep = np.ones(len(frame), bool)
    for name, values in part.where.items():
        if name not in frame:
            raise InvalidInput(
                f"There is no column {name!r} in {spec.name}.",
                field="where",
                next_step=f"There are: {', '.join(frame)}.",
            )
        keep &= texts(frame[name]).isin([str(value) for value in values]).to_numpy(bool)
    for bound, is_lower in ((part.since, True), (part.until, False)):
        if bound is not None:
            times = _times(frame, spec)
            moment = pd.Timestamp(bound).tz_convert(None) if bound.tzinfo else pd.Timestamp(bound)
            keep &= (times >= moment if is_lower else times < moment).to_numpy(bool)
    rows = frame[keep]
    return rows.iloc[slice(*part.rows)] if part.rows else rows


def replay_table(watch: TabularWatch, since: datetime, until: datetime) -> Iterator[Findings]:
    """Windows of so many rows, or of so many days, or one for each value of a time that is no date."""
    data = TableData.of(watch)
    baseline = TableBaseline(watch, data.spec, data.reference)
    for bounds, window in windows(data.window, data.spec, watch, since, until):
        if is_too_few(watch, len(data.reference), len(window)):
            yield too_few(watch, bounds, len(data.reference), len(window))
        else:
            yield table_findings(baseline, window, bounds)


def windows(
    frame: pd.DataFrame, spec: TableSpec, watch: TabularWatch, since: datetime, until: datetime
) -> Iterator[tuple[Bounds, pd.DataFrame]]:
    step = timedelta(days=watch.window.days)
    dated = spec.time in frame and pd.api.types.is_datetime64_any_dtype(frame[spec.time])
    if dated and not watch.window.rows:
        start = since
        while start + step <= until:
            yield Bounds(start, start + step), sliced(frame, Slice(since=start, until=start + step), spec)
            start += step
        return
    for k, rows in enumerate(_pieces(frame, spec, watch.window.rows)):
        end = since + (k + 1) * step
        if end > until:
            return
        yield Bounds(end - step, end), rows


def _pieces(frame: pd.DataFrame, spec: TableSpec, n_rows: int) -> Iterator[pd.DataFrame]:
    if n_rows:
        yield from (frame.iloc[at : at + n_rows] for at in range(0, len(frame) - n_rows + 1, n_rows))
    elif spec.time in frame:
        yield from (frame[frame[spec.time] == value] for value in sorted(frame[spec.time].dropna().unique()))
    else:
        raise InvalidInput(
            f"{spec.name} names no time, so it cannot be cut into windows.",
            field="window.rows",
            next_step="Set window.rows in the watch, or `time` in the table's spec.",
        )


def _bounds(window: pd.DataFrame, spec: TableSpec, at: datetime, days: float) -> Bounds:
    if len(window) and spec.time in window and pd.api.types.is_datetime64_any_dtype(window[spec.time]):
        low, high = window[spec.time].min(), window[spec.time].max()
        return Bounds(low.to_pydatetime().replace(tzinfo=UTC), high.to_pydatetime().replace(tzinfo=UTC))
    return Bounds(at - timedelta(days=days), at)


def _times(frame: pd.DataFrame, spec: TableSpec) -> pd.Series:
    if spec.time not in frame or not pd.api.types.is_datetime64_any_dtype(frame[spec.time]):
        raise InvalidInput(
            f"{spec.name} has no date in `time`, so since and until mean nothing.",
            field="since",
            next_step="Use where or rows.",
        )
    return frame[spec.time]


def _check_columns(watch: TabularWatch, spec: TableSpec) -> None:
    named = {"columns": watch.columns, "ignore": watch.ignore, "score": (watch.score,) if watch.score else ()}
    told = [f"{field}: {name!r}" for field, names in named.items() for name in names if name not in spec.columns]
    if told:
        raise InvalidInput(
            f"{spec.name} has no such columns: {'; '.join(told)}.",
            field="columns",
            next_step=f"There are: {', '.join(spec.columns)}.",
        )
