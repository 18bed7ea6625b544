"""A table as a view makes it: shown as HTML, charted, and downloaded as CSV or JSON. Knows nothing of what it tells.

Keys of a row that begin with an underscore are for the page alone: `_links` ({column: address}) and `_tones`
({column: good | warn | bad | muted}).
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal["text", "figure", "change", "share", "time", "day", "code", "badge", "interval", "bool"]
Row = Mapping[str, Any]
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins like this."""


@dataclass(frozen=True)
class Column:
    """`name` is its key in rows and downloads. A column without a `title` is only in downloads and charts."""

    name: str
    title: str = ""
    kind: Kind = "text"
    is_heading: bool = False
    """The cell that names its row."""
    is_on_page_only: bool = False
    """A link to elsewhere, of no use in a download."""


@dataclass(frozen=True)
class Table:
    """`is_cut` says that there are more rows than these."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    empty: str = "Nothing yet."
    is_cut: bool = False
    is_hidden: bool = field(default=False)
    """Behind a chart: folded until it is asked for."""

    @property
    def shown(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.title)

    @property
    def told(self) -> tuple[Column, ...]:
        """What a download holds."""
        return tuple(column for column in self.columns if not column.is_on_page_only)


def interval(name: str, title: str) -> tuple[Column, ...]:
    """A mean with its interval: three columns of a download, one cell of a page."""
    return Column(name, title, "interval"), Column("low"), Column("high")


def to_csv(table: Table) -> str:
    """With a byte-order mark, so that spreadsheets read it as UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.name for column in table.told])
    for row in table.rows:
        writer.writerow([_cell(row.get(column.name)) for column in table.told])
    return "\ufeff" + out.getvalue()


def to_json(table: Table) -> str:
    told = {
        "table": table.name,
        "title": table.title,
        "columns": [{"name": c.name, "title": c.title, "kind": c.kind} for c in table.told],
        "rows": [_plain(row, table.told) for row in table.rows],
        "is_cut": table.is_cut,
    }
    return json.dumps(told, ensure_ascii=False, allow_nan=False)


def _plain(row: Row, columns: Iterable[Column]) -> dict[str, Any]:
    told = {column.name: _value(row.get(column.name)) for column in columns}
    links = row.get("_links", {})
    return told | ({"href": next(iter(links.values()))} if links else {})


def _value(value: Any) -> Any:
    if isinstance(value, float) and value != value:
        return None
    return value.isoformat() if isinstance(value, datetime) else value


def _cell(value: Any) -> Any:
    value = _value(value)
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
