"""The contract of a table as a pandera model made from its spec: strict, coerced, checked at every boundary. Stores nothing.

frame = load_checked(spec)                 # training, batch: read + settle + check
frame = checked(raw, spec)                 # any frame that crosses a boundary
faults = faults_of(raw, spec)              # the same without raising
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Optional

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from data.errors import InvalidInput
from data.tabular.cells import plain
from data.tabular.table import Fault, allowed, read_table, settle
from data.tabular.table_spec import Column, TableSpec


class ContractBroken(InvalidInput):
    """`faults` are all cells at fault, by row, column, value and what is allowed; the message shows the first ten."""

    code = "contract_broken"

    def __init__(self, table: str, faults: Sequence[Fault], *, next_step: str = "") -> None:
        told = "\n".join(f"  {fault}" for fault in faults[:10])
        more = f"\n  and {len(faults) - 10} more" if len(faults) > 10 else ""
        super().__init__(
            f"{table} breaks its contract in {len(faults)} places:\n{told}{more}\n",
            field=faults[0].column if faults else "",
            next_step=next_step or f"Mend the rows, or the spec if it is wrong. All of them: assay data check {table}",
        )
        self.faults = tuple(faults)


def load_checked(spec: TableSpec, *, n_rows: int | None = None) -> pd.DataFrame:
    """Read, settle and check. Raises: NotFound; ContractBroken."""
    return checked(read_table(spec, n_rows=n_rows), spec)


def checked(frame: pd.DataFrame, spec: TableSpec, *, needs_target: bool = True) -> pd.DataFrame:
    """The settled frame, its columns in the order of the spec. Raises: ContractBroken.

    Without `needs_target` (scoring) the target and `known_at` may be absent.
    """
    settled, faults = _checked(frame, spec, needs_target)
    if faults:
        raise ContractBroken(spec.name, faults)
    return settled


def faults_of(frame: pd.DataFrame, spec: TableSpec, *, needs_target: bool = True) -> list[Fault]:
    """All that breaks the contract, by row and column."""
    return _checked(frame, spec, needs_target)[1]


def faults_and_settled(frame: pd.DataFrame, spec: TableSpec) -> tuple[pd.DataFrame, list[Fault]]:
    """The settled frame beside all that breaks the contract, for those that go on with the good rows.

    A frame that plainly keeps it is not shown to pandera, which takes ten times as long to say the same.
    """
    settled, faults = settle(frame, spec)
    return (settled, []) if not faults and _plainly_keeps(settled, spec) else _checked(frame, spec, needs_target=True)


def model_of(spec: TableSpec, *, needs_target: bool = True) -> type[pa.DataFrameModel]:
    """The spec as a pandera `DataFrameModel`, strict and coerced."""
    free = () if needs_target else (spec.target, spec.known_at)
    fields: dict[str, Any] = {}
    types: dict[str, Any] = {}
    for at, (name, column) in enumerate(spec.columns.items()):
        held = Series[_dtype(column)]  # type: ignore[misc]
        types[f"column_{at}"] = Optional[held] if name in free else held  # noqa: UP045  pandera knows no `| None`
        fields[f"column_{at}"] = pa.Field(
            alias=name,
            nullable=column.nullable or name in free,
            unique=name == spec.id,
            **_bounds(column),
        )
    settings = type("Config", (), {"name": spec.name, "strict": True, "coerce": True})
    return type(f"{spec.name}_contract", (pa.DataFrameModel,), {"__annotations__": types, **fields, "Config": settings})


def _checked(frame: pd.DataFrame, spec: TableSpec, needs_target: bool) -> tuple[pd.DataFrame, list[Fault]]:
    settled, faults = settle(frame, spec)
    wrong_kind = {(fault.row, fault.column) for fault in faults}
    faults = [Fault(one.row, one.column, one.value, allowed(spec.columns[one.column])) for one in faults]
    try:
        settled = model_of(spec, needs_target=needs_target).validate(settled, lazy=True)
    except pa.errors.SchemaErrors as error:
        found = dict.fromkeys(_faults(error.failure_cases, settled, spec))
        faults += [fault for fault in found if (fault.row, fault.column) not in wrong_kind]
    return settled, sorted(faults, key=lambda one: (-1 if one.row is None else one.row, one.column))


def _plainly_keeps(settled: pd.DataFrame, spec: TableSpec) -> bool:
    """Whether columns, dtypes, holes, bounds and closed lists are those of the spec; sufficient for `model_of(spec)` to agree."""
    if tuple(settled) != tuple(spec.columns) or spec.id:
        return False
    return all(_column_keeps(settled[name], column) for name, column in spec.columns.items())


def _column_keeps(cells: pd.Series, column: Column) -> bool:
    if not column.nullable and cells.isna().any():
        return False
    if column.kind == "category":
        return not column.values or len(cells.cat.categories) == len(column.values)  # settled: declared ones first
    bounds = _bounds(column)
    known = cells.dropna() if bounds else cells
    return all((known >= bounds[b]).all() if b == "ge" else (known <= bounds[b]).all() for b in bounds)


def _faults(cases: pd.DataFrame, frame: pd.DataFrame, spec: TableSpec) -> Iterator[Fault]:
    """Pandera's failure cases as faults: one per cell and rule."""
    for check, column, value, row in zip(
        cases["check"], cases["column"], cases["failure_case"], cases["index"], strict=True
    ):
        if check == "column_in_schema":
            near = get_close_matches(str(value), spec.columns, n=1)
            told = f"{spec.name} has no such column" + (f"; is it {near[0]}?" if near else "; name it in `dropped`")
            yield Fault(None, str(value), None, told)
        elif check == "column_in_dataframe":
            yield Fault(None, str(value), None, "the column is not there")
        elif check == "field_uniqueness":
            yield Fault(int(row), column, plain(value), "unique, as an id must be")
        elif row is not None and not pd.isna(row):
            cell = frame[column].iloc[int(row)]
            yield Fault(int(row), column, None if pd.isna(cell) else plain(cell), allowed(spec.columns[column]))


def _dtype(column: Column) -> Any:
    match column.kind:
        case "number":
            return np.float64
        case "integer":
            return np.float64 if column.nullable else np.int64
        case "category":
            return pd.CategoricalDtype
        case "boolean":
            return pd.BooleanDtype if column.nullable else bool
        case "date":
            return pa.DateTime


def _bounds(column: Column) -> dict[str, Any]:
    if column.kind == "date":
        low, high = _moment(column.earliest), _moment(column.latest)
    else:
        low, high = column.low, column.high
    bounds = {"ge": low, "le": high, "isin": list(column.values) or None}
    return {name: value for name, value in bounds.items() if value is not None}


def _moment(given: datetime | None) -> pd.Timestamp | None:
    if given is None:
        return None
    return pd.Timestamp(given.astimezone(UTC).replace(tzinfo=None) if given.tzinfo else given)
