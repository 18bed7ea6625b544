"""Turns a `Filter` into an SQL condition on a document's own columns or its metadata."""

import re
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_

from data.errors import InvalidInput
from data.records import Filter, FilterOp, Scalar
from data.tables import documents

COLUMNS = {
    "document_id": documents.c.id,
    "uri": documents.c.uri,
    "title": documents.c.title,
    "media_type": documents.c.media_type,
    "version": documents.c.version,
    "ingested_at": documents.c.ingested_at,
}
FIELD = re.compile(r"[\w][\w .:/-]*")


def condition(f: Filter) -> ColumnElement[bool]:
    """Raises: InvalidInput when the filter lacks what its operator needs or names an impossible field."""
    if not FIELD.fullmatch(f.field):
        raise InvalidInput(
            f"The filter field {f.field!r} is not allowed.",
            field="filters",
            next_step="Use letters, digits, '_', '.', ':', '/', '-' and spaces.",
        )
    if f.op is FilterOp.EQUALS:
        _need(f, f.value is not None, "value")
        return _column(f, f.value) == _literal(f, f.value)
    if f.op is FilterOp.IN:
        _need(f, bool(f.values), "values")
        kinds = {_kind(v) for v in f.values}
        if len(kinds) > 1:
            raise InvalidInput(f"The values of the filter on {f.field!r} mix types: {list(f.values)}.", field="filters")
        return _column(f, f.values[0]).in_([_literal(f, v) for v in f.values])
    if f.op is FilterOp.PREFIX:
        _need(f, isinstance(f.value, str) and f.value != "", "a non-empty text value")
        return _column(f, "").startswith(str(f.value), autoescape=True)
    bounds = {name: getattr(f, name) for name in ("gte", "gt", "lte", "lt") if getattr(f, name) is not None}
    _need(f, bool(bounds), "one of gte, gt, lte, lt")
    compare = {"gte": "__ge__", "gt": "__gt__", "lte": "__le__", "lt": "__lt__"}
    return and_(*(getattr(_column(f, v), compare[name])(_literal(f, v)) for name, v in bounds.items()))


def _column(f: Filter, value: Scalar | None) -> Any:
    if f.field in COLUMNS:
        return COLUMNS[f.field]
    item = documents.c.metadata[f.field]
    return {"bool": item.as_boolean, "number": item.as_float, "text": item.as_string}[_kind(value)]()


def _literal(f: Filter, value: Scalar | None) -> Any:
    if f.field != "ingested_at":
        return value
    try:
        return datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidInput(
            f"{value!r} is not a date.",
            field="filters",
            next_step="Write ingested_at as 2026-01-31 or 2026-01-31T12:00:00.",
        ) from error


def _kind(value: Scalar | None) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else "text"


def _need(f: Filter, given: bool, what: str) -> None:
    if not given:
        raise InvalidInput(f"The filter {f.op.value!r} on {f.field!r} needs {what}.", field="filters")
