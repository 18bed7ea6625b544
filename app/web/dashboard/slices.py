"""The view of one metric by slice: which part of the samples is worse off than the rest."""

from collections import Counter
from dataclasses import dataclass

from app.web.dashboard.choice import choose
from app.web.dashboard.runs import measured
from app.web.dashboard.sources import Sources
from app.web.dashboard.table import Column, Table, interval
from app.web.dashboard.view import Chart, View, address


@dataclass(frozen=True)
class SlicesFilter:
    suite: str = ""
    run: str = ""
    metric: str = ""
    by: str = ""


def slices(sources: Sources, wanted: SlicesFilter) -> View:
    """Of the suite's newest run, or of one that is named. Raises: NotFound, InvalidInput."""
    suites = sources.runs.suites()
    if not suites:
        return View("slices.html", {"suites": []})
    named = sources.runs.line(wanted.run) if wanted.run else None
    newest = max(suites, key=lambda s: s.newest).name
    suite = named.suite if named else choose("suite", wanted.suite, [s.name for s in suites], newest)
    run = named.id if named else sources.runs.newest(suite)
    counts = Counter(name.partition("=")[0] for name in sources.runs.slices(run)) if run else Counter()
    fields = sorted(counts)
    names = sources.runs.metric_names(suite) if named is None else [one.metric for one in sources.runs.metrics(run)]
    metric = choose("metric", wanted.metric, names, names[0] if names else "")
    by = choose("field", wanted.by, fields, max(fields, key=lambda f: counts[f], default=""))
    context = {"suites": suites, "suite": suite, "run": run, "is_named": named is not None, "metrics": names}
    context |= {"metric": metric, "fields": fields, "by": by}
    if not run or not by:
        return View("slices.html", context)
    whole = next((one.summary for one in sources.runs.metrics(run) if one.metric == metric), None)
    parts = [one for one in sources.runs.metrics(run, by) if one.metric == metric]
    table = _table(run, suite, metric, by, parts, whole)
    told = f"{metric} for {len(parts)} values of {by}, each with its 95 % interval."
    columns = {"x": "mean", "low": "low", "high": "high", "y": "value", "tone": "verdict"}
    chart = Chart(
        "intervals",
        "slices",
        f"{metric} by {by}",
        told,
        columns | ({"mark": str(whole.mean)} if whole and whole.mean is not None else {}),
    )
    return View("slices.html", context | {"whole": whole}, (table,), (chart,) if parts else ())


def _table(run: str, suite: str, metric: str, by: str, parts, whole) -> Table:
    rows = []
    for one in parts:
        said = _verdict(one.summary, whole)
        value = one.slice.partition("=")[2]
        rows.append(
            {"value": value, **measured(one.summary), "n_clusters": one.summary.n_clusters, "verdict": said}
            | {"trend": "Trend", "_tones": {"verdict": {"worse": "bad", "better": "good"}.get(said, "muted")}}
            | {
                "_links": {
                    "value": address(f"/dashboard/runs/{run}", {"metric": metric, "slice": one.slice}) + "#samples",
                    "trend": address("/dashboard/runs", {"suite": suite, "metric": metric, "slice": one.slice}),
                }
            }
        )
    columns = (
        Column("value", by, is_heading=True),
        *interval("mean", metric),
        Column("n", "Samples", "figure"),
        Column("n_clusters", "Documents", "figure"),
        Column("n_errors", "Errors", "figure"),
        Column("verdict", "Against all samples", "badge"),
        Column("trend", "Over time"),
    )
    return Table("slices", f"{metric} by {by}", columns, tuple(rows), empty="No sample has that field.")


def _verdict(part, whole) -> str:
    """Whether the interval leaves out the mean of all samples."""
    if whole is None or whole.mean is None or part.low is None or part.high is None:
        return "too few"
    if part.low <= whole.mean <= part.high:
        return "no difference shown"
    return "better" if (part.low > whole.mean) == whole.higher_is_better else "worse"
