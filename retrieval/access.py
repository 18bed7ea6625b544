"""Who sees what: a principal, a collection and filters resolved into what searches select by. Applied inside the search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, bindparam, literal, select

from data.database import Database
from data.records import Filter, Principal, Query
from data.tables import documents, scopes
from retrieval.filters import condition

CACHED = 256
PARAMETER = "among_"


@dataclass(frozen=True)
class Access:
    """What one principal may see under one query's collection and filters. None means no restriction at all."""

    key: tuple[Any, ...]
    scopes: frozenset[int] | None
    contents: NDArray[np.int64] | None
    filters: tuple[Filter, ...] = ()
    holders: Callable[[int], Select] | None = None
    """By the number of contents, which are its parameters: the admitted documents that hold any of them, newest first."""


class AccessResolver:
    """Keeps what it resolved per generation: rights change only through writes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._resolved: dict[tuple[Any, ...], Access] = {}

    def resolve(self, query: Query, generation: int) -> Access:
        p = query.principal
        filters = tuple(f.model_dump_json() for f in query.filters)  # as records, 1 and True would be one key
        key = (generation, p.tenant, p.effective_groups, query.collection, filters)
        if (known := self._resolved.get(key)) is not None:
            return known
        with self.database.read() as c:
            allowed, n_scopes = allowed_scopes(c, p, query.collection)
            visible = documents.c.scope_id.in_(allowed)
            if len(allowed) == n_scopes and not query.filters:
                found = Access(key, None, None, holders=_holders(allowed, ()))
            else:
                conditions = [condition(f) for f in query.filters]
                sees = select(documents.c.content_id).where(visible, *conditions).distinct()
                contents = np.unique(np.array(c.execute(sees).scalars().all(), np.int64))
                holders = _holders(allowed, conditions)
                found = Access(key, frozenset(allowed), contents, query.filters, holders)
        if len(self._resolved) >= CACHED:
            self._resolved.clear()
        self._resolved[key] = found
        return found


def _holders(allowed: list[int], conditions: Sequence[ColumnElement[bool]]) -> Callable[[int], Select]:
    """Each is built once per access, since building costs more than running.

    `+ 0` keeps a planner from starting at the scopes, each of which may hold every document.
    """
    c = documents.c
    is_allowed = (c.scope_id + 0).in_([literal(scope) for scope in allowed])

    @cache
    def of(n_contents: int) -> Select:
        return (
            select(c.id, c.content_id, c.uri, c.title, c.version, c.metadata)
            .where(among(c.content_id, n_contents), is_allowed, *conditions)
            .order_by(c.ingested_at.desc(), c.id)
        )

    return of


def among(column: ColumnElement[int], n: int) -> ColumnElement[bool]:
    """`column` is one of the `n` parameters `given(values, n)`.

    One parameter that takes a list would do, but is written into the statement anew with every execution, which takes longer
    than the execution.
    """
    return column.in_([bindparam(f"{PARAMETER}{i}") for i in range(n)])


def given(values: Sequence[int], n: int) -> dict[str, int]:
    """The parameters of `among`: all values, the last one as often as fills them up."""
    return {f"{PARAMETER}{i}": values[min(i, len(values) - 1)] for i in range(n)}


def allowed_scopes(c: Connection, p: Principal, collection: str | None) -> tuple[list[int], int]:
    """Return the ids of the scopes that the principal may read, and how many scopes there are."""
    rows = c.execute(select(scopes.c.id, scopes.c.tenant, scopes.c.collection, scopes.c.groups)).all()
    groups = p.effective_groups
    allowed = [
        r.id
        for r in rows
        if r.tenant == p.tenant
        and (collection is None or r.collection == collection)
        and not groups.isdisjoint(r.groups)
    ]
    return allowed, len(rows)
