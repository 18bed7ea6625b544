"""Addresses of the dashboard. Each takes its filters from the query string, and gives its tables with `format` and `table`.

Only keys with the scope `analyst` see any of it. Nothing here writes.
"""

import gzip
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, Response

from app.api.access import Analyst
from app.api.service import Served
from app.api.wire import Identifier, Text
from app.web.dashboard import alarms, compare, coverage, drift, gates, overview, rollouts, runs, sample, slices, usage
from app.web.dashboard.view import Download, Visit, answered
from app.web.rendering import PageRoute
from data.errors import NotFound

router = APIRouter(prefix="/dashboard", route_class=PageRoute)
Name = Annotated[Text, Query(max_length=300)]
PageNumber = Annotated[int, Query(ge=1, le=100_000)]
Days = Annotated[int, Query(ge=1, le=3650)]
REPORT_POLICY = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; frame-ancestors 'none'"
"""Other people's HTML: its scripts run with no origin, so they reach neither the session nor this server."""
WEEK_S = 7 * 24 * 3600


def _visit(request: Request, caller: Analyst, served: Served, format: Name = "", table: Name = "") -> Visit:
    return Visit(request, caller, served, Download(format, table))


Visiting = Annotated[Visit, Depends(_visit)]


@router.get("")
async def show_overview(visit: Visiting) -> Response:
    """Is anything wrong now, since when, how bad?"""
    return await answered(visit, overview.overview)


@router.get("/runs")
async def show_runs(
    visit: Visiting,
    suite: Name = "",
    metric: Name = "",
    slice: Name = "",
    status: Name = "",
    gate: bool = False,
    last: Annotated[int, Query(ge=2, le=2000)] = 100,
    page: PageNumber = 1,
) -> Response:
    """Runs of a suite and the trend of a metric."""
    wanted = runs.RunsFilter(suite, metric, slice, status, gate, last, page, _all_rows(visit))
    return await answered(visit, partial(runs.runs, wanted=wanted))


@router.get("/runs/{run}")
async def show_run(
    visit: Visiting, run: Identifier, metric: Name = "", slice: Name = "", only: Name = "", page: PageNumber = 1
) -> Response:
    """One run: means and samples."""
    wanted = runs.RunFilter(metric, slice, only, page, _all_rows(visit))
    return await answered(visit, partial(runs.run, identity=run, wanted=wanted))


@router.get("/runs/{run}/sample")
async def show_sample(
    visit: Visiting, run: Identifier, id: Name, repeat: Annotated[int, Query(ge=0, le=100_000)] = 0
) -> Response:
    """One sample: question, chunks, answer, each scorer's reason."""
    return await answered(visit, partial(sample.sample, run_id=run, sample_id=id, repeat=repeat))


@router.get("/runs/{run}/receipt")
async def show_receipt(
    visit: Visiting, run: Identifier, id: Name, repeat: Annotated[int, Query(ge=0, le=100_000)] = 0
) -> Response:
    """The receipt of one sample's answer."""
    return await answered(visit, partial(sample.receipt, run_id=run, sample_id=id, repeat=repeat))


@router.get("/compare")
async def show_comparison(
    visit: Visiting, a: Name = "", b: Name = "", metric: Name = "", page: PageNumber = 1
) -> Response:
    """Two runs with paired differences."""
    wanted = compare.CompareFilter(a, b, metric, page, _all_rows(visit))
    return await answered(visit, partial(compare.compare, wanted=wanted))


@router.get("/gates")
async def show_gates(visit: Visiting, suite: Name = "", conclusion: Name = "", page: PageNumber = 1) -> Response:
    """What the gate said, and when."""
    wanted = gates.GatesFilter(suite, conclusion, page, _all_rows(visit))
    return await answered(visit, partial(gates.gates, wanted=wanted))


@router.get("/gates/{gate}")
async def show_gate(visit: Visiting, gate: Identifier) -> Response:
    """One verdict."""
    return await answered(visit, partial(gates.gate, identity=gate))


@router.get("/slices")
async def show_slices(visit: Visiting, suite: Name = "", run: Name = "", metric: Name = "", by: Name = "") -> Response:
    """A metric by the values of a field."""
    return await answered(visit, partial(slices.slices, wanted=slices.SlicesFilter(suite, run, metric, by)))


@router.get("/drift")
async def show_drift(visit: Visiting, watch: Name = "", monitor: Name = "", days: Days = 90) -> Response:
    """Monitors over time."""
    return await answered(visit, partial(drift.drift, wanted=drift.DriftFilter(watch, monitor, days)))


@router.get("/drift/{check}/{name}")
async def show_report(visit: Visiting, check: Identifier, name: Identifier) -> Response:
    """A page that a check wrote, evidently's or our own, shut in a sandbox."""
    path = await visit.served.workers.run(drift.report, _sources(visit), check, name)
    headers = {"content-security-policy": REPORT_POLICY, "x-content-type-options": "nosniff"}
    return FileResponse(path, media_type=drift.MEDIA[path.suffix], headers=headers | {"cache-control": "no-store"})


@router.get("/alarms")
async def show_alarms(visit: Visiting, watch: Name = "", status: Name = "") -> Response:
    """Alarms, the open ones first."""
    return await answered(visit, partial(alarms.alarms, wanted=alarms.AlarmsFilter(watch, status)))


@router.get("/alarms/{alarm}")
async def show_alarm(visit: Visiting, alarm: Identifier) -> Response:
    """One alarm with its causes."""
    return await answered(visit, partial(alarms.alarm, identity=alarm))


@router.get("/coverage")
async def show_coverage(visit: Visiting, watch: Name = "") -> Response:
    """What is asked against what the documents hold."""
    return await answered(visit, partial(coverage.coverage, wanted=coverage.CoverageFilter(watch)))


@router.get("/rollouts")
async def show_rollouts(visit: Visiting, name: Name = "") -> Response:
    """Versions that came and went."""
    wanted = rollouts.RolloutsFilter(name, _all_rows(visit))
    return await answered(visit, partial(rollouts.rollouts, wanted=wanted))


@router.get("/usage")
async def show_usage(visit: Visiting, days: Days = 30) -> Response:
    """What answers and evaluations cost."""
    return await answered(visit, partial(usage.usage, wanted=usage.UsageFilter(days)))


@router.get("/plotly.js")
async def plotly(visit: Visiting) -> Response:
    """The charting library out of the installed package; its address changes with it, and browsers keep it."""
    path = _sources(visit).plotly
    if path is None:
        raise NotFound("plotly is not installed.", next_step="pip install -e '.[dashboard]'")
    headers = {"cache-control": f"private, max-age={WEEK_S}, immutable", "x-content-type-options": "nosniff"}
    headers["vary"] = "accept-encoding"
    if "gzip" not in visit.request.headers.get("accept-encoding", ""):
        return FileResponse(path, media_type="text/javascript", headers=headers)
    body = await visit.served.workers.run(_compressed, path)
    return Response(body, media_type="text/javascript", headers=headers | {"content-encoding": "gzip"})


@cache
def _compressed(path: Path) -> bytes:
    """4.6 MB as 1.3: a seventh of a second, once."""
    return gzip.compress(path.read_bytes(), 6)


def _sources(visit: Visit) -> Any:
    if visit.served.product.dashboard is None:
        raise NotFound("This server has no dashboard.", next_step="Start it with: assay serve")
    return visit.served.product.dashboard


def _all_rows(visit: Visit) -> bool:
    """A download holds every row, not a page of them."""
    return bool(visit.download.format)
