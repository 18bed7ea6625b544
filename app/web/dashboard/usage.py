"""The view of what answers and evaluations cost: questions, tokens and money by day."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.web.dashboard.sources import Prices, Sources
from app.web.dashboard.table import Column, Table
from app.web.dashboard.view import Chart, View

DAYS = (7, 30, 90, 365)


@dataclass(frozen=True)
class UsageFilter:
    days: int = 30


def usage(sources: Sources, wanted: UsageFilter) -> View:
    since = datetime.now(UTC) - timedelta(days=wanted.days)
    answers = _answers_table(sources.traffic.by_day(since), sources.prices)
    runs = _runs_table(sources.runs.spent(since), sources.prices)
    charts = []
    for table, series, what in ((answers, "model", "Questions by day"), (runs, "suite", "Evaluated rows by day")):
        if table.rows:
            count = "n" if table is answers else "n_rows"
            total = sum(row[count] for row in table.rows)
            charts.append(
                Chart(
                    "bars",
                    table.name,
                    what,
                    f"{what}: {total} in {wanted.days} days.",
                    {"x": "day", "y": count, "series": series},
                )
            )
    context: dict[str, Any] = {"days": wanted.days, "choices": DAYS, "prices": sources.prices, "share": sources.share}
    context |= {"answers": _totals(answers, "n"), "runs": _totals(runs, "n_rows")}
    return View("usage.html", context, (answers, runs), tuple(charts))


def _totals(table: Table, count: str) -> dict[str, Any]:
    names = (count, "prompt_tokens", "completion_tokens")
    sums = {name: sum(row[name] for row in table.rows) for name in names}
    costs = [row["cost"] for row in table.rows if row["cost"] is not None]
    return {"n": sums.pop(count), **sums, "cost": sum(costs) if costs else None}


def _answers_table(days, prices: Prices) -> Table:
    rows = tuple(
        {
            "day": one.day,
            "model": one.model or "unknown",
            "n": one.n,
            "abstained": one.n_abstained / one.n,
            "support": one.support,
            "latency_ms": one.latency_ms,
            "prompt_tokens": one.prompt_tokens,
            "completion_tokens": one.completion_tokens,
            "cost": prices.cost(one.prompt_tokens, one.completion_tokens),
        }
        for one in days
    )
    columns = (
        Column("day", "Day", "day", is_heading=True),
        Column("model", "Answered by"),
        Column("n", "Questions", "figure"),
        Column("abstained", "Abstained", "share"),
        Column("support", "Supported", "share"),
        Column("latency_ms", "Mean time, ms", "figure"),
        *_token_columns(prices),
    )
    return Table("answers", "Answers by day", columns, rows, empty="No question was logged in that time.")


def _runs_table(days, prices: Prices) -> Table:
    rows = tuple(
        {
            "day": one.day,
            "suite": one.suite,
            "n_runs": one.n_runs,
            "n_rows": one.n_rows,
            "cached": one.n_cached / one.n_rows if one.n_rows else 0.0,
            "seconds": one.seconds,
            "prompt_tokens": one.prompt_tokens,
            "completion_tokens": one.completion_tokens,
            "cost": prices.cost(one.prompt_tokens, one.completion_tokens),
        }
        for one in days
    )
    columns = (
        Column("day", "Day", "day", is_heading=True),
        Column("suite", "Suite"),
        Column("n_runs", "Runs", "figure"),
        Column("n_rows", "Rows", "figure"),
        Column("cached", "From the cache", "share"),
        Column("seconds", "Seconds", "figure"),
        *_token_columns(prices),
    )
    return Table("evaluations", "Evaluations by day", columns, rows, empty="No run ended in that time.")


def _token_columns(prices: Prices) -> tuple[Column, ...]:
    cost = (Column("cost", "Cost", "figure"),) if prices.are_known else (Column("cost"),)
    return (Column("prompt_tokens", "Tokens in", "figure"), Column("completion_tokens", "Tokens out", "figure"), *cost)
