"""Tables as DataFrames: reads what a `TableSpec` names and settles the dtypes. Checks no ranges: `data.tabular.contract` does.

One dtype per kind: number float64 (NaN is missing) · integer int64, or float64 of whole numbers where nullable · category
`category` of strings (declared values first; group with observed=True) · boolean bool, or `boolean` where nullable ·
date datetime64[ns], UTC without a zone. Rows are numbered 0, 1, 2, ... in the order of the files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data.errors import InvalidInput, NotFound
from data.tabular.cells import FALSE, TRUE, is_number, plain, texts
from data.tabular.claims import generate_claims
from data.tabular.table_spec import ClaimsSource, Column, FileSource, TableSpec


@dataclass(frozen=True)
class Fault:
    """One cell that breaks a promise. `row` is the place in the frame from 0, or None for the column as a whole."""

    row: int | None
    column: str
    value: Any
    allowed: str

    def __str__(self) -> str:
        if self.row is None:
            return f"{self.column}: {self.allowed}"
        return f"row {self.row}, {self.column}: {self.value!r} is not {self.allowed}"


def read_table(spec: TableSpec, *, n_rows: int | None = None) -> pd.DataFrame:
    """Read the rows as they stand, columns named in `dropped` left out; `n_rows` from the beginning. Raises: NotFound."""
    if isinstance(spec.source, ClaimsSource):
        return generate_claims(spec.source).claims.head(n_rows)
    parts: list[pd.DataFrame] = []
    for path in spec.source.paths:
        parts.append(_read_file(path, spec.source, spec))
        if n_rows is not None and sum(map(len, parts)) >= n_rows:
            break
    frame = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    frame = _labelled_later(frame, spec, spec.source)
    return frame.drop(columns=[name for name in spec.dropped if name in frame]).head(n_rows)


def load_table(spec: TableSpec, *, n_rows: int | None = None) -> pd.DataFrame:
    """Read and settle, without the contract. Raises: NotFound; InvalidInput where a cell has no place in its kind."""
    frame, faults = settle(read_table(spec, n_rows=n_rows), spec)
    if faults:
        raise InvalidInput(
            f"{spec.name} has {len(faults)} cells of the wrong kind: {'; '.join(map(str, faults[:5]))}.",
            field=faults[0].column,
            next_step=f"See all of them with: assay data check {spec.name}",
        )
    return frame


def settle(frame: pd.DataFrame, spec: TableSpec) -> tuple[pd.DataFrame, list[Fault]]:
    """Give each declared column the dtype of its kind, in the order of the spec; others stay, behind.

    A cell that cannot be of its kind becomes missing and is returned as a fault. Columns that are not there stay away.
    """
    settled: dict[str, pd.Series] = {}
    faults: list[Fault] = []
    for name, column in spec.columns.items():
        if name in frame:
            settled[name], found = _settled(frame[name].reset_index(drop=True), name, column)
            faults += found
    for name in frame:
        settled.setdefault(str(name), frame[name].reset_index(drop=True))
    return pd.DataFrame(settled, index=pd.RangeIndex(len(frame))), faults


def target_of(frame: pd.DataFrame, spec: TableSpec) -> np.ndarray:
    """The labels, int8 [n]: 1 where the target has the positive value. Raises: InvalidInput for rows without a label."""
    column = frame[spec.target]
    if n_missing := int(column.isna().sum()):
        raise InvalidInput(
            f"{n_missing} rows have no {spec.target}.",
            field=spec.target,
            next_step=f"Leave them out: frame[frame[{spec.target!r}].notna()].",
        )
    return (texts(column) == spec.positive).to_numpy(dtype=np.int8)


def is_privileged(frame: pd.DataFrame, spec: TableSpec, attribute: str) -> np.ndarray:
    """bool [n]: who is of the privileged group of a protected attribute; missing values are not."""
    who, column = spec.protected[attribute], frame[attribute]
    if who.privileged:
        return texts(column).isin(who.privileged).to_numpy(dtype=bool)
    low = -np.inf if who.low is None else who.low
    high = np.inf if who.high is None else who.high
    return column.between(low, high).fillna(False).to_numpy(dtype=bool)


def _read_file(path: Path, source: FileSource, spec: TableSpec) -> pd.DataFrame:
    if not path.is_file():
        raise NotFound(
            f"The file {path} of the table {spec.name} is not there.",
            next_step="Mend `source.paths` of the spec; relative paths start at its folder, or else at the project.",
        )
    if source.kind == "parquet":
        return pd.read_parquet(path)
    as_text: dict[Any, Any] = {name: str for name, column in spec.columns.items() if column.kind != "number"}
    frame = pd.read_csv(path, dtype=as_text, keep_default_na=False, na_values=[""], low_memory=False)
    for name, column in spec.columns.items():
        if column.kind == "category" and name in frame and frame[name].str.fullmatch(r"-?\d+\.0").all():
            frame[name] = frame[name].str.removesuffix(".0")  # codes that a hole made floats when the file was written
    return frame


def _labelled_later(frame: pd.DataFrame, spec: TableSpec, source: FileSource) -> pd.DataFrame:
    """Fill the target from the files of labels, by id."""
    if not source.labels:
        return frame
    if not (spec.id and spec.target):
        raise InvalidInput(f"{spec.name}: source.labels needs `id` and `target`.", field="source.labels")
    late = pd.concat([_read_file(path, source, spec) for path in source.labels], ignore_index=True)
    labels = late.set_index(spec.id)[spec.target]
    known = frame[spec.target] if spec.target in frame else pd.Series(np.nan, index=frame.index)
    return frame.assign(**{spec.target: known.where(known.notna(), frame[spec.id].map(labels))})


def _settled(cells: pd.Series, name: str, column: Column) -> tuple[pd.Series, list[Fault]]:
    is_missing = cells.isna()
    if cells.dtype == object or isinstance(cells.dtype, pd.CategoricalDtype):
        is_missing |= cells.isin(["", *column.missing])
    if column.missing and not isinstance(cells.dtype, pd.StringDtype):
        is_missing |= cells.isin([float(word) for word in column.missing if is_number(word)])
    convert = {
        "number": _numbers,
        "integer": _integers,
        "category": _categories,
        "boolean": _booleans,
        "date": _dates,
    }[column.kind]
    settled, is_wrong = convert(cells, is_missing, column)
    rows = np.flatnonzero(is_wrong & ~is_missing)
    return settled, [Fault(int(row), name, plain(cells.iloc[row]), allowed_kind(column)) for row in rows]


def allowed_kind(column: Column) -> str:
    return {
        "number": "a number",
        "integer": "a whole number",
        "category": "text",
        "boolean": "true or false",
        "date": "a date",
    }[column.kind]


def allowed(column: Column) -> str:
    """What a column may hold, in words: "a number from 0 to 120", "one of F, M", "a date from 2024-01-01 on"."""
    words = f"one of {', '.join(column.values)}" if column.values else allowed_kind(column)
    low, high = (column.low, column.high) if column.kind != "date" else (column.earliest, column.latest)
    match low, high:
        case None, None:
            pass
        case _, None:
            words += f" from {_short(low)} on"
        case None, _:
            words += f" up to {_short(high)}"
        case _:
            words += f" from {_short(low)} to {_short(high)}"
    return words + (" or missing" if column.nullable else "")


def _short(bound: Any) -> str:
    return bound.isoformat() if isinstance(bound, datetime) else f"{bound:.15g}"


def _numbers(cells: pd.Series, is_missing: pd.Series, column: Column) -> tuple[pd.Series, np.ndarray]:
    numbers = pd.to_numeric(cells.where(~is_missing, None), errors="coerce").astype(np.float64)
    return numbers, (numbers.isna() | np.isinf(numbers)).to_numpy()


def _integers(cells: pd.Series, is_missing: pd.Series, column: Column) -> tuple[pd.Series, np.ndarray]:
    numbers, is_wrong = _numbers(cells, is_missing, column)
    is_wrong |= numbers.to_numpy() != np.floor(numbers.to_numpy())
    numbers = numbers.mask(is_wrong)
    if column.nullable or numbers.isna().any():
        return numbers, is_wrong
    return numbers.astype(np.int64), is_wrong


def _categories(cells: pd.Series, is_missing: pd.Series, column: Column) -> tuple[pd.Series, np.ndarray]:
    declared = set(column.values)
    if isinstance(cells.dtype, pd.CategoricalDtype) and pd.api.types.infer_dtype(cells.cat.categories) == "string":
        known = cells.mask(is_missing).cat.remove_unused_categories()
        found = sorted(set(known.cat.categories) - declared)
        return known.cat.set_categories([*column.values, *found]), np.zeros(len(cells), dtype=bool)
    words = texts(cells.where(~is_missing, None)) if is_missing.any() else texts(cells)
    found = [word for word in words.dropna().unique() if word not in declared]
    settled = words.astype(pd.CategoricalDtype([*column.values, *sorted(found)]))
    return settled, np.zeros(len(cells), dtype=bool)


def _booleans(cells: pd.Series, is_missing: pd.Series, column: Column) -> tuple[pd.Series, np.ndarray]:
    if pd.api.types.is_bool_dtype(cells.dtype):  # a column of them already: no call per cell
        settled = cells.astype("boolean").mask(is_missing)
        is_wrong = np.zeros(len(cells), dtype=bool)
        return (settled if column.nullable or settled.isna().any() else settled.astype(bool)), is_wrong
    words = texts(cells).str.lower()
    truth = words.map(dict.fromkeys(TRUE, True) | dict.fromkeys(FALSE, False)).where(~is_missing, None)
    is_wrong = truth.isna().to_numpy()
    settled = truth.astype("boolean")
    return (settled if column.nullable or settled.isna().any() else settled.astype(bool)), is_wrong


def _dates(cells: pd.Series, is_missing: pd.Series, column: Column) -> tuple[pd.Series, np.ndarray]:
    if cells.dtype == np.dtype("datetime64[ns]"):
        return cells.mask(is_missing), is_missing.to_numpy()
    present = cells.where(~is_missing, None)
    moments = pd.to_datetime(present, errors="coerce", utc=True, format=None if _is_moment(cells) else "ISO8601")
    settled = moments.dt.tz_convert(None).astype("datetime64[ns]")
    return settled, settled.isna().to_numpy()


def _is_moment(cells: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(cells)


def concatenated(parts: Sequence[pd.DataFrame], spec: TableSpec) -> pd.DataFrame:
    """Settled parts as one settled frame: concatenation alone would lose the categories."""
    frame, _ = settle(pd.concat(list(parts), ignore_index=True), spec)
    return frame
