"""The view of what is asked against what the documents hold: a map in two dimensions, and the gaps by their terms."""

from dataclasses import dataclass
from typing import Any

from app.web.dashboard.choice import choose
from app.web.dashboard.sources import Sources
from app.web.dashboard.table import Column, Table
from app.web.dashboard.view import Chart, View


@dataclass(frozen=True)
class CoverageFilter:
    watch: str = ""


def coverage(sources: Sources, wanted: CoverageFilter) -> View:
    """Of the newest check with a map. Raises: InvalidInput for an unknown watch."""
    watches = sources.drift.watches()
    watch = choose("watch", wanted.watch, watches, "")
    found = sources.drift.newest_map(watch)
    context: dict[str, Any] = {"watches": watches, "watch": watch, "check": None}
    if found is None:
        return View("coverage.html", context)
    check, points = found
    n_gaps = sum(point.is_gap for point in points)
    n_queries = sum(point.kind == "query" for point in points)
    context |= {"check": check, "n_gaps": n_gaps, "n_queries": n_queries, "n_chunks": len(points) - n_queries}
    told = f"{n_queries} questions and {len(points) - n_queries} chunks; {n_gaps} questions have no chunk near them."
    chart = Chart(
        "map",
        "points",
        "Questions and chunks",
        told,
        {"x": "x", "y": "y", "series": "series", "label": "label", "cluster": "gap", "terms": "terms"},
    )
    return View("coverage.html", context, (_clusters_table(check), _points_table(check, points)), (chart,))


def _clusters_table(check) -> Table:
    rows = tuple(
        {
            "number": number,
            "terms": ", ".join(cluster.terms),
            "n": cluster.n,
            "share": cluster.share,
            "similarity": cluster.similarity,
            "examples": " · ".join(cluster.examples),
        }
        for number, cluster in enumerate(check.clusters, 1)
    )
    columns = (
        Column("number", "Gap", "figure"),
        Column("terms", "Asked about", is_heading=True),
        Column("n", "Questions", "figure"),
        Column("share", "Share", "share"),
        Column("similarity", "Nearest chunk", "figure"),
        Column("examples", "Examples"),
    )
    return Table(
        "clusters",
        "Gaps: asked, and not in the documents",
        columns,
        rows,
        empty="No gap: every kind of question has a chunk near it.",
    )


def _points_table(check, points) -> Table:
    gaps = {cluster.id: (number, ", ".join(cluster.terms[:4])) for number, cluster in enumerate(check.clusters, 1)}
    rows = tuple(
        {
            "series": "gap" if point.is_gap else "question" if point.kind == "query" else "chunk",
            "label": point.label,
            "gap": gaps.get(point.cluster, (None, ""))[0],
            "terms": gaps.get(point.cluster, (None, ""))[1],
            "x": round(point.x, 4),
            "y": round(point.y, 4),
        }
        for point in points
    )
    columns = (
        Column("label", "Question or chunk", is_heading=True),
        Column("series", "Kind"),
        Column("gap", "Gap", "figure"),
        Column("terms", "About"),
        Column("x", "x", "figure"),
        Column("y", "y", "figure"),
    )
    return Table("points", "Every point", columns, rows, is_hidden=True)
