"""Views of drift: each monitor over time with its threshold and the budget of false alarms; a report that a check wrote."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from app.web.dashboard.choice import choose
from app.web.dashboard.sources import Sources
from app.web.dashboard.table import Column, Table
from app.web.dashboard.view import Chart, View, address
from data.errors import NotFound

if TYPE_CHECKING:
    from evals.drift.records import DriftCheck, MonitorValue

MOST_VALUES = 2000
MOST_CHECKS = 40
OUTCOMES = {"quiet": "good", "alarm": "bad", "too_few": "warn"}
MEDIA = {".html": "text/html", ".json": "application/json"}
WORDS = {"too_few": "too few data"}


@dataclass(frozen=True)
class DriftFilter:
    watch: str = ""
    monitor: str = ""
    days: int = 90


def drift(sources: Sources, wanted: DriftFilter) -> View:
    """Raises: InvalidInput for an unknown watch or monitor."""
    watches = sources.drift.watches()
    if not watches:
        return View("drift.html", {"watches": []})
    newest = sources.drift.checks(limit=1)
    watch = choose("watch", wanted.watch, watches, newest[0].watch if newest else watches[0])
    since = datetime.now(UTC) - timedelta(days=wanted.days)
    checks = sources.drift.checks(watch, since=since, limit=MOST_CHECKS) or sources.drift.checks(watch, limit=1)
    now = _worst_first(sources.drift.values_of(checks[0].id))
    names = [value.monitor for value in now] or sources.drift.monitors(watch)
    monitor = choose("monitor", wanted.monitor, sources.drift.monitors(watch), names[0] if names else "")
    values = sources.drift.values(watch, monitor, since=since, limit=MOST_VALUES)
    tables = (_timeline_table(monitor, values), _monitors_table(watch, now), _checks_table(checks))
    told = f"{monitor} in {len(values)} windows; {sum(v.is_alarm for v in values)} of them alarmed."
    columns = {"x": "at", "y": "value", "low": "low", "high": "high", "threshold": "threshold", "alarm": "is_alarm"}
    chart = Chart("timeline", "timeline", monitor, told, columns)
    context: dict[str, Any] = {"watches": watches, "watch": watch, "monitor": monitor, "days": wanted.days}
    context |= {"names": sources.drift.monitors(watch), "check": checks[0], "budget": _budget(sources, checks[0])}
    context |= {"outcome": WORDS.get(checks[0].outcome, checks[0].outcome), "tone": OUTCOMES[checks[0].outcome]}
    return View("drift.html", context, tables, (chart,) if values else ())


def report(sources: Sources, check_id: str, name: str) -> Path:
    """The file of that name that a check wrote, and no other. Raises: NotFound."""
    check = sources.drift.check(check_id)
    told = next((told for told in check.reports.values() if Path(told).name == name), None)
    if told and sources.var is not None:
        root = sources.var.resolve()
        path = (root / told).resolve()
        if path.is_relative_to(root) and path.suffix in MEDIA and path.is_file():
            return path
    raise NotFound(
        f"The check {check_id} has no report {name!r}.",
        next_step="It may have been deleted; check again: assay drift check",
    )


def budget_words(check: "DriftCheck") -> str:
    days = f"{check.budget_days:g} days" if check.budget_days != 1 else "a day"
    return f"at most {check.budget:g} false alarm{'s' if check.budget != 1 else ''} in {days} over all {check.n_monitors} monitors"


@dataclass(frozen=True)
class Budget:
    """How many alarms were opened within the budget's time."""

    told: str
    allowed: float
    n_opened: int


def _budget(sources: Sources, check: "DriftCheck") -> Budget:
    since = datetime.now(UTC) - timedelta(days=check.budget_days)
    opened = [alarm for alarm in sources.drift.alarms(check.watch) if alarm.opened_at >= since]
    return Budget(budget_words(check), check.budget, len(opened))


def _worst_first(values: "list[MonitorValue]") -> "list[MonitorValue]":
    def nearness(value: "MonitorValue") -> float:
        if value.value is None:
            return float("-inf")
        return value.value / value.threshold if value.threshold else value.value

    return sorted(values, key=lambda v: (not v.is_alarm, -(v.harm or 0.0), -nearness(v)))


VALUE_COLUMNS = (
    Column("value", "Effect", "interval"),
    Column("low"),
    Column("high"),
    Column("threshold", "Threshold", "figure"),
    Column("state", "State", "badge"),
    Column("is_alarm"),
    Column("p_value"),
    Column("harm", "Harm", "figure"),
    Column("note", "Note"),
)


def _value_row(value: "MonitorValue") -> dict[str, Any]:
    names = ("value", "low", "high", "threshold", "is_alarm", "p_value", "harm", "note")
    state = "alarm" if value.is_alarm else "not measured" if value.value is None else "quiet"
    tone = {"alarm": "bad", "quiet": "good"}.get(state, "muted")
    return {name: getattr(value, name) for name in names} | {"state": state, "_tones": {"state": tone}}


def _timeline_table(monitor: str, values: "list[MonitorValue]") -> Table:
    rows = tuple({"at": value.at} | _value_row(value) for value in values)
    columns = (Column("at", "Window's end", "time", is_heading=True), *VALUE_COLUMNS)
    return Table("timeline", f"{monitor}, window by window", columns, rows, is_hidden=True)


def _monitors_table(watch: str, values: "list[MonitorValue]") -> Table:
    rows = tuple(
        {"monitor": value.monitor, **_value_row(value)}
        | {"_links": {"monitor": address("/dashboard/drift", {"watch": watch, "monitor": value.monitor})}}
        for value in values
    )
    columns = (Column("monitor", "Monitor", is_heading=True), *VALUE_COLUMNS)
    return Table("monitors", "Every monitor in the newest window", columns, rows, empty="Nothing was measured.")


def _checks_table(checks: "list[DriftCheck]") -> Table:
    rows = tuple(
        {
            "window_end": check.window_end,
            "window_start": check.window_start,
            "check": check.id,
            "outcome": WORDS.get(check.outcome, check.outcome),
            "n_current": check.n_current,
            "n_reference": check.n_reference,
            "harm": check.harm,
            "harm_unit": check.harm_unit,
            "cause": check.causes[0].told if check.causes else check.note,
            "report": "report" if "html" in check.reports else "",
            "evidently": "evidently" if "evidently.html" in check.reports else "",
            "_links": _report_links(check),
            "_tones": {"outcome": OUTCOMES[check.outcome]},
        }
        for check in checks
    )
    columns = (
        Column("window_end", "Window's end", "time", is_heading=True),
        Column("window_start"),
        Column("check"),
        Column("outcome", "Outcome", "badge"),
        Column("n_current", "In the window", "figure"),
        Column("n_reference", "Reference", "figure"),
        Column("harm", "Harm", "figure"),
        Column("harm_unit"),
        Column("cause", "Most harmful cause"),
        Column("report", "Report", is_on_page_only=True),
        Column("evidently", "Evidently", is_on_page_only=True),
    )
    return Table("checks", "Checks, newest first", columns, rows)


def _report_links(check: "DriftCheck") -> dict[str, str]:
    names = {"report": "html", "evidently": "evidently.html"}
    return {
        column: f"/dashboard/drift/{check.id}/{quote(Path(check.reports[name]).name)}"
        for column, name in names.items()
        if name in check.reports
    }
