"""Views of evaluation runs: the trend of a suite's metric, one run, one sample of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.web.dashboard.choice import choose
from app.web.dashboard.sources import Sources
from app.web.dashboard.table import Column, Row, Table, interval
from app.web.dashboard.view import Chart, View, address

if TYPE_CHECKING:
    from evals.digest_store import Mean, RunLine, TrendPoint

PAGE = 50
MOST = 10_000
"""Rows of one download."""
STATUSES = ("complete", "failed", "running", "stopped")
TONES = {"failed": "bad", "complete": "good", "running": "muted", "stopped": "muted"}


@dataclass(frozen=True)
class RunsFilter:
    suite: str = ""
    metric: str = ""
    slice: str = ""
    status: str = ""
    gate: bool = False
    last: int = 100
    page: int = 1
    is_download: bool = False


def runs(sources: Sources, wanted: RunsFilter) -> View:
    """A suite's runs, and how one of its metrics went. Raises: NotFound for an unknown suite, InvalidInput for a metric."""
    from evals.digest_store import RunQuery

    suites = sources.runs.suites()
    if not suites:
        return View("runs.html", {"suites": [], "wanted": wanted})
    suite = choose("suite", wanted.suite, [s.name for s in suites], max(suites, key=lambda s: s.newest).name)
    newest = sources.runs.newest(suite)
    names = sources.runs.metric_names(suite)
    slices = sources.runs.slices(newest) if newest else []
    metric = choose("metric", wanted.metric, names, names[0] if names else "")
    part = choose("slice", wanted.slice, slices, "")
    status = choose("status", wanted.status, STATUSES, "")
    query = RunQuery(suite, status, wanted.gate, metric, part)
    n = sources.runs.n_runs(query)
    limit, offset = (MOST, 0) if wanted.is_download else (PAGE, (wanted.page - 1) * PAGE)
    lines = sources.runs.runs(query, limit, offset)
    trend = sources.runs.trend(suite, metric, slice_=part, with_gate=wanted.gate, limit=wanted.last)
    where = f" where {part}" if part else ""
    listed = Table(
        "runs", "Runs", _run_columns(metric), tuple(map(_run_row, lines)), is_cut=n > offset + len(lines), empty="None."
    )
    tables = (_trend_table(trend, metric, where), listed)
    chart = Chart("trend", "trend", f"{metric}{where}", _trend_told(trend, metric), TREND)
    context = {"suites": suites, "suite": suite, "metrics": names, "metric": metric, "slices": slices, "slice": part}
    context |= {
        "wanted": wanted,
        "n": n,
        "chosen": status,
        "statuses": STATUSES,
        "page": wanted.page,
        "n_pages": -(-n // PAGE),
    }
    return View("runs.html", context, tables, (chart,) if trend else ())


TREND = {"x": "at", "y": "mean", "low": "low", "high": "high", "series": "series", "label": "run"}


def _trend_table(trend: "list[TrendPoint]", metric: str, where: str) -> Table:
    rows = tuple(
        {
            "at": point.created_at,
            "run": point.run_id,
            "series": point.ref or point.target,
            **measured(point.summary),
            "_links": {"run": f"/dashboard/runs/{point.run_id}"},
        }
        for point in trend
    )
    columns = (
        Column("at", "When", "time"),
        Column("run", "Run", "code"),
        *interval("mean", metric),
        Column("n", "Samples", "figure"),
        Column("n_errors", "Errors", "figure"),
        Column("series", "Target"),
    )
    return Table("trend", f"{metric}{where}, run by run", columns, rows, is_hidden=True)


def _trend_told(trend: "list[TrendPoint]", metric: str) -> str:
    known = [p.summary.mean for p in trend if p.summary.mean is not None]
    if not known:
        return f"{metric} was not measured."
    return f"{metric} over {len(known)} runs: from {known[0]:.3g} to {known[-1]:.3g}, between {min(known):.3g} and {max(known):.3g}."


def _run_columns(metric: str) -> tuple[Column, ...]:
    return (
        Column("at", "When", "time"),
        Column("run", "Run", "code", is_heading=True),
        Column("target", "Target"),
        Column("status", "Status", "badge"),
        *interval("mean", metric or "Mean"),
        Column("n_rows", "Rows", "figure"),
        Column("n_failed", "Failed", "figure"),
        Column("seconds", "Seconds", "figure"),
        Column("compare", "Change", is_on_page_only=True),
    )


def _run_row(line: "RunLine") -> Row:
    return {
        "at": line.created_at,
        "run": line.id,
        "target": f"{line.target} ({line.ref})" if line.ref else line.target,
        "status": line.status,
        **measured(line.summary),
        "n_rows": line.n_rows,
        "n_failed": line.n_failed,
        "seconds": line.seconds,
        "compare": "compare" if line.summary else "",
        "_links": {
            "run": f"/dashboard/runs/{line.id}",
            "compare": address("/dashboard/compare", {"b": line.id}) if line.summary else "",
        },
        "_tones": {"status": TONES.get(line.status, "muted"), "n_failed": "bad" if line.n_failed else ""},
    }


def measured(summary: "Mean | None") -> dict[str, float | int | None]:
    """A mean's numbers as cells."""
    names = ("mean", "low", "high", "n", "n_errors")
    return {name: getattr(summary, name) if summary else None for name in names}


@dataclass(frozen=True)
class RunFilter:
    metric: str = ""
    slice: str = ""
    only: str = ""
    page: int = 1
    is_download: bool = False


ONLY = ("failed", "errors")


def run(sources: Sources, identity: str, wanted: RunFilter) -> View:
    """One run: its means, and its samples from the worst on. Raises: NotFound, InvalidInput."""
    line, found = sources.runs.line(identity), sources.runs.run(identity)
    metrics, values = sources.runs.metrics(identity), sources.runs.values(identity)
    names = [one.metric for one in metrics] or list(values.values)
    slices = sources.runs.slices(identity)
    metric = choose("metric", wanted.metric, names, names[0] if names else "")
    part, only = choose("slice", wanted.slice, slices, ""), choose("only", wanted.only, ONLY, "")
    higher = {one.metric: one.summary.higher_is_better for one in metrics}
    places = _chosen(values, only)
    if part:
        told = sources.runs.samples(identity, [case[0] for case in values.cases])
        places = [n for n in places if (s := told.get(values.cases[n][0])) and part in s.slices]
    places = _worst_first(places, values.values.get(metric), higher.get(metric, True))
    limit, offset = (MOST, 0) if wanted.is_download else (PAGE, (wanted.page - 1) * PAGE)
    shown = places[offset : offset + limit]
    asked = sources.runs.samples(identity, list({values.cases[n][0] for n in shown}))
    tables = (_means_table(identity, metrics), _samples_table(identity, values, shown, asked, names))
    charts = (
        (Chart("intervals", "metrics", "Means", f"The means of {len(metrics)} metrics.", MEANS),) if metrics else ()
    )
    context = {"line": line, "run": found, "before": sources.runs.before(identity), "wanted": wanted, "names": names}
    context |= {"metric": metric, "slices": slices, "slice": part, "only": only, "n": len(places), "page": wanted.page}
    context |= {"n_pages": -(-len(places) // PAGE), "n_failed": len(values.failed), "n_broken": len(values.broken)}
    context |= {"cost": sources.prices.cost(line.prompt_tokens, line.completion_tokens), "is_digested": bool(metrics)}
    return View("run.html", context, tables, charts)


MEANS = {"x": "mean", "low": "low", "high": "high", "y": "metric", "panel": "unit"}


def _means_table(identity: str, metrics) -> Table:
    rows = tuple(
        {
            "metric": one.metric,
            **measured(one.summary),
            "n_clusters": one.summary.n_clusters,
            "better": "higher" if one.summary.higher_is_better else "lower",
            "unit": one.summary.unit,
            "_links": {"metric": address(f"/dashboard/runs/{identity}", {"metric": one.metric}) + "#samples"},
            "_tones": {"n_errors": "bad" if one.summary.n_errors else ""},
        }
        for one in metrics
    )
    columns = (
        Column("metric", "Metric", is_heading=True),
        *interval("mean", "Mean"),
        Column("unit", "Unit"),
        Column("n", "Samples", "figure"),
        Column("n_clusters", "Documents", "figure"),
        Column("n_errors", "Errors", "figure"),
        Column("better", "Better"),
    )
    return Table("metrics", "Means", columns, rows, empty="Nothing was measured.")


def _samples_table(identity: str, values, places: list[int], asked, names: list[str]) -> Table:
    failed, broken = set(values.failed), set(values.broken)
    is_repeated = any(repeat for _, repeat, _ in values.cases)
    rows = []
    for place in places:
        sample, repeat, _ = values.cases[place]
        state = "failed" if place in failed else "error" if place in broken else ""
        rows.append(
            {name: of_metric[place] for name, of_metric in values.values.items()}
            | {"sample": sample, "repeat": repeat, "question": asked[sample].question if sample in asked else sample}
            | {"state": state, "_links": {"question": sample_address(identity, sample, repeat)}}
            | {"_tones": {"state": "bad"}}
        )
    columns = (
        Column("question", "Question", is_heading=True),
        Column("sample", ""),
        Column("repeat", "Repeat" if is_repeated else "", "figure"),
        Column("state", "", "badge"),
        *(Column(name, name, "figure") for name in names if name in values.values),
    )
    if failed | broken:
        columns = tuple(Column("state", "State", "badge") if c.name == "state" else c for c in columns)
    return Table("samples", "Samples", columns, tuple(rows), empty="No sample is like that.")


def sample_address(run: str, sample: str, repeat: int = 0) -> str:
    return address(f"/dashboard/runs/{run}/sample", {"id": sample, "repeat": repeat or ""})


def _chosen(values, only: str) -> list[int]:
    if only == "failed":
        return list(values.failed)
    return list(values.broken) if only == "errors" else list(range(len(values.cases)))


def _worst_first(places: list[int], values, higher_is_better: bool) -> list[int]:
    """Cases without a value come last."""
    if not values:
        return places
    sign = 1 if higher_is_better else -1
    return sorted(places, key=lambda n: (values[n] is None, sign * values[n] if values[n] is not None else 0.0))
