"""Turns a `Filter` into an SQL condition on a document's own columns or its metadata."""

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Float, String, and_, case, cast
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from data.errors import InvalidInput
from data.records import Filter, FilterOp, Scalar
from data.tables import documents

COLUMNS = {
    "document_id": documents.c.id,
    "uri": documents.c.uri,
    "title": documents.c.title,
    "media_type": documents.c.media_type,
    "version": cast(documents.c.version, Float),
    "ingested_at": documents.c.ingested_at,
}
KINDS = {"version": "number"}
"""What a column of ours is compared with, where that is not text."""
JSON_KINDS = {
    "number": ("integer", "real", "number"),
    "text": ("text", "string"),
    "bool": ("true", "false", "boolean"),
}
"""The names that SQLite and Postgres have for the kinds of JSON values."""
FIELD = re.compile(r"[\w][\w .:/-]*")


class json_kind(FunctionElement):
    """The kind of one metadata field's value. A field may hold a number here and a text there, and casts must not meet it."""

    type = String()
    inherit_cache = True

    def __init__(self, field: str) -> None:
        super().__init__(documents.c.metadata, documents.c.metadata[field], f'$."{field}"')


@compiles(json_kind)
def _on_sqlite(element: json_kind, compiler: Any, **options: Any) -> str:
    column, _, path = element.clauses
    return f"json_type({compiler.process(column, **options)}, {compiler.process(path, **options)})"


@compiles(json_kind, "postgresql")
def _on_postgres(element: json_kind, compiler: Any, **options: Any) -> str:
    _, item, _ = element.clauses
    return f"json_typeof({compiler.process(item, **options)})"


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
        _need(
            f, isinstance(f.value, str) and f.value != "" and f.field != "ingested_at", "a text field and a text value"
        )
        return _column(f, "").startswith(_literal(f, f.value), autoescape=True)
    bounds = {name: getattr(f, name) for name in ("gte", "gt", "lte", "lt") if getattr(f, name) is not None}
    _need(f, bool(bounds), "one of gte, gt, lte, lt")
    compare = {"gte": "__ge__", "gt": "__gt__", "lte": "__le__", "lt": "__lt__"}
    return and_(*(getattr(_column(f, v), compare[name])(_literal(f, v)) for name, v in bounds.items()))


def _column(f: Filter, value: Scalar | None) -> Any:
    kind = _kind(value)
    if f.field in COLUMNS:
        _need(f, kind == KINDS.get(f.field, "text"), f"a {KINDS.get(f.field, 'text')} to compare with, not {value!r}")
        return COLUMNS[f.field]
    item = documents.c.metadata[f.field]
    typed = {"bool": item.as_boolean, "number": item.as_float, "text": item.as_string}[kind]()
    return case((json_kind(f.field).in_(JSON_KINDS[kind]), typed))


def _literal(f: Filter, value: Scalar | None) -> Any:
    if isinstance(value, str) and "\x00" in value:
        raise InvalidInput(f"The filter on {f.field!r} holds a NUL character.", field="filters")
    if f.field == "ingested_at":
        return _moment(value)
    if _kind(value) != "number":
        return value
    try:
        return float(value)
    except OverflowError:
        raise InvalidInput(f"The number in the filter on {f.field!r} is too large.", field="filters") from None


def _moment(value: Scalar | None) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidInput(
            f"{value!r} is not a date.",
            field="filters",
            next_step="Write ingested_at as 2026-01-31 or 2026-01-31T12:00:00 (UTC, or with an offset).",
        ) from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _kind(value: Scalar | None) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else "text"


def _need(f: Filter, given: bool, what: str) -> None:
    if not given:
        raise InvalidInput(f"The filter {f.op.value!r} on {f.field!r} needs {what}.", field="filters")
