"""What a view hands over, and how it is answered: as a page, or one of its tables as CSV or JSON."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import Response

from app.api.access import Caller
from app.api.service import Service
from app.web.dashboard.sources import Sources
from app.web.dashboard.table import Table, to_csv, to_json
from app.web.rendering import HEADERS, page
from data.errors import InvalidInput, NotFound

FORMATS = ("csv", "json")


@dataclass(frozen=True)
class Chart:
    """Draws a table of the same view: `x`, `y`, `low`, `high` and `series` name its columns. `static/charts.js` knows the kinds."""

    kind: str
    table: str
    title: str
    told: str
    """In one sentence, for those who do not see it."""
    columns: dict[str, str]


@dataclass(frozen=True)
class View:
    template: str
    context: dict[str, Any]
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()

    def table(self, name: str) -> Table:
        """Raises: InvalidInput, naming those there are."""
        for table in self.tables:
            if table.name == name:
                return table
        there = ", ".join(table.name for table in self.tables) or "none"
        raise InvalidInput(f"This view has no table {name!r}.", field="table", next_step=f"It has: {there}.")


@dataclass(frozen=True)
class Download:
    """Which table of a view is wanted, in which format; a page where there is no format."""

    format: str = ""
    table: str = ""

    def __post_init__(self) -> None:
        if self.format and self.format not in FORMATS:
            raise InvalidInput(
                f"The format is {self.format!r}.", field="format", next_step=f"Choose from: {', '.join(FORMATS)}."
            )


@dataclass(frozen=True)
class Visit:
    """One request for a view."""

    request: Request
    caller: Caller
    served: Service
    download: Download = field(default_factory=Download)


async def answered(visit: Visit, make: Callable[[Sources], View]) -> Response:
    """Make the view on a worker thread. Raises: NotFound where the server was built without a dashboard."""
    sources = visit.served.product.dashboard
    if sources is None:
        raise NotFound("This server has no dashboard.", next_step="Start it with: assay serve")
    view = await visit.served.workers.run(make, sources)
    if visit.download.format:
        return _downloaded(view.table(visit.download.table), visit.download.format)
    context = {"tables": {t.name: t for t in view.tables}, "charts": {c.table: c for c in view.charts}}
    context |= {"has_charts": sources.plotly_address, "sources": sources}
    context |= {"address": lambda **changes: address(visit.request.url.path, _query(visit.request) | changes)}
    return page(visit.request, f"dashboard/{view.template}", visit.caller, **context | view.context)


def address(path: str, query: dict[str, Any] | None = None) -> str:
    """A path with those of the fields that hold something."""
    given = {name: value for name, value in (query or {}).items() if value not in (None, "", False)}
    return f"{path}?{urlencode(given)}" if given else path


def _query(request: Request) -> dict[str, Any]:
    return dict(request.query_params)


def _downloaded(table: Table, kind: str) -> Response:
    text, media = (to_csv(table), "text/csv") if kind == "csv" else (to_json(table), "application/json")
    headers = HEADERS | {"content-disposition": f'attachment; filename="assay-{table.name}.{kind}"'}
    return Response(text, media_type=f"{media}; charset=utf-8", headers=headers)
