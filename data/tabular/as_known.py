"""Facts joined to rows by what was known then: and how many rows a join that looks only at validity gets wrong. Knows no feature store.

A fact has two times: `event` (true from) and `created` (known from). A join on `event` alone hands a training row corrections that were
written weeks after its decision; serving never had them (feast-dev/feast#6615). `audit` counts and lists such rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from data.errors import InvalidInput
from data.tabular.cells import plain

ROWS_AT_A_TIME = 50_000
N_EXAMPLES = 20


@dataclass(frozen=True)
class History:
    """Facts about entities over time: one row per entity and moment at which a fact changed or was corrected."""

    frame: pd.DataFrame
    key: str
    event: str = "event_timestamp"
    created: str = "created_timestamp"

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(name for name in self.frame if name not in (self.key, self.event, self.created))


@dataclass(frozen=True)
class Difference:
    """One cell that a join on validity alone would have taken from the future. `row` is the place in the frame from 0."""

    row: int
    key: str
    at: str
    column: str
    as_known: Any
    as_corrected: Any
    known_from: str


@dataclass(frozen=True)
class Audit:
    n_rows: int
    n_changed: int
    """Rows with at least one value that was not known at their time."""
    by_column: dict[str, int]
    n_without_facts: int
    """Rows whose entity had no fact known by then."""
    examples: tuple[Difference, ...]

    @property
    def share_changed(self) -> float:
        return self.n_changed / self.n_rows if self.n_rows else 0.0


def facts_as_known(
    rows: pd.DataFrame, history: History, time: str, *, ttl_days: float | None = None, columns: Sequence[str] = ()
) -> pd.DataFrame:
    """For each row the newest fact that was true **and known** at `time`; missing where there is none. Index as `rows`."""
    return _facts(rows, history, time, ttl_days, tuple(columns) or history.values, only_known=True)[0]


def facts_as_corrected(
    rows: pd.DataFrame, history: History, time: str, *, ttl_days: float | None = None, columns: Sequence[str] = ()
) -> pd.DataFrame:
    """For each row the newest fact true at `time`, whenever it was written: what a join on validity alone gives."""
    return _facts(rows, history, time, ttl_days, tuple(columns) or history.values, only_known=False)[0]


def audit(
    rows: pd.DataFrame, history: History, time: str, *, ttl_days: float | None = None, columns: Sequence[str] = ()
) -> Audit:
    """Count the rows whose facts would change if only those known by `time` were used. Raises: InvalidInput."""
    asked = tuple(columns) or history.values
    known, _ = _facts(rows, history, time, ttl_days, asked, only_known=True)
    final, created = _facts(rows, history, time, ttl_days, asked, only_known=False)
    differs = {name: _differs(known[name], final[name]) for name in asked}
    changed = np.logical_or.reduce(list(differs.values()), axis=0) if differs else np.zeros(len(rows), dtype=bool)
    examples = []
    for row in np.flatnonzero(changed)[:N_EXAMPLES]:
        for name in asked:
            if differs[name][row]:
                examples.append(
                    Difference(
                        int(row),
                        str(rows[history.key].iloc[row]),
                        str(rows[time].iloc[row]),
                        name,
                        plain(known[name].iloc[row]),
                        plain(final[name].iloc[row]),
                        str(created.iloc[row]),
                    )
                )
    return Audit(
        n_rows=len(rows),
        n_changed=int(changed.sum()),
        by_column={name: int(there.sum()) for name, there in differs.items()},
        n_without_facts=int(known.isna().all(axis=1).sum()) if asked else 0,
        examples=tuple(examples[:N_EXAMPLES]),
    )


def _facts(
    rows: pd.DataFrame,
    history: History,
    time: str,
    ttl_days: float | None,
    columns: tuple[str, ...],
    *,
    only_known: bool,
) -> tuple[pd.DataFrame, pd.Series]:
    """The facts and when each was written; by blocks of rows, for every pair of row and fact is looked at."""
    _check(rows, history, time, columns)
    facts = history.frame.reset_index(drop=True)
    chosen = np.full(len(rows), -1, dtype=np.int64)
    slim = pd.DataFrame(
        {
            "key": facts[history.key].astype(object),
            "event": facts[history.event],
            "created": facts[history.created],
            "fact": np.arange(len(facts)),
        }
    )
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        block = rows.iloc[start : start + ROWS_AT_A_TIME]
        asked = pd.DataFrame(
            {
                "key": block[history.key].astype(object).to_numpy(),
                "at": block[time].to_numpy(),
                "row": np.arange(start, start + len(block)),
            }
        )
        pairs = asked.merge(slim, on="key")
        fits = pairs["event"] <= pairs["at"]
        if only_known:
            fits &= pairs["created"] <= pairs["at"]
        if ttl_days is not None:
            fits &= pairs["at"] - pairs["event"] <= pd.Timedelta(days=ttl_days)
        best = pairs[fits].sort_values(["event", "created", "fact"], kind="stable").drop_duplicates("row", keep="last")
        chosen[best["row"].to_numpy()] = best["fact"].to_numpy()
    taken = facts.reindex(np.where(chosen < 0, len(facts), chosen))
    return taken[list(columns)].set_axis(rows.index), taken[history.created].set_axis(rows.index)


def _differs(one: pd.Series, other: pd.Series) -> np.ndarray:
    """Where two columns hold different values; missing equals missing."""
    left, right = one.astype(object).to_numpy(), other.astype(object).to_numpy()
    both_missing = pd.isna(left) & pd.isna(right)
    one_missing = pd.isna(left) ^ pd.isna(right)
    unequal = np.fromiter(
        (a is not b and a != b for a, b in zip(left, right, strict=True)), dtype=bool, count=len(left)
    )
    return one_missing | (unequal & ~both_missing)


def _check(rows: pd.DataFrame, history: History, time: str, columns: Sequence[str]) -> None:
    here = {history.key: rows, time: rows}
    there = dict.fromkeys([history.key, history.event, history.created, *columns], history.frame)
    for name, frame, whose in [(n, f, "the rows") for n, f in here.items()] + [
        (n, f, "the history") for n, f in there.items()
    ]:
        if name not in frame:
            raise InvalidInput(
                f"{whose} have no column {name!r}.", field=name, next_step=f"There are: {', '.join(map(str, frame))}."
            )
    for name, frame in ((time, rows), (history.event, history.frame), (history.created, history.frame)):
        if not pd.api.types.is_datetime64_any_dtype(frame[name]):
            raise InvalidInput(
                f"{name!r} holds no dates but {frame[name].dtype}.", field=name, next_step="Settle the table first."
            )
