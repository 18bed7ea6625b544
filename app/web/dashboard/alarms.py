"""Views of alarms: those that are open, the most harmful first, and one of them with its causes and what to do."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.web.dashboard.choice import choose
from app.web.dashboard.sources import Sources
from app.web.dashboard.table import Column, Table
from app.web.dashboard.view import View

if TYPE_CHECKING:
    from evals.drift.records import Alarm

MOST = 1000
STATUSES = ("open", "confirmed", "closed")
TONES = {"open": "warn", "confirmed": "bad", "closed": "muted"}


@dataclass(frozen=True)
class AlarmsFilter:
    watch: str = ""
    status: str = ""


def alarms(sources: Sources, wanted: AlarmsFilter) -> View:
    """Raises: InvalidInput for an unknown watch or status."""
    watches = sources.drift.watches()
    watch, status = choose("watch", wanted.watch, watches, ""), choose("status", wanted.status, STATUSES, "")
    found = [one for one in sources.drift.alarms(watch, limit=MOST) if not status or one.status == status]
    context = {"watches": watches, "watch": watch, "chosen": status, "statuses": STATUSES}
    return View("alarms.html", context | {"n_open": sum(one.status != "closed" for one in found)}, (_table(found),))


def _table(found: "list[Alarm]") -> Table:
    rows = tuple(
        {
            "opened_at": one.opened_at,
            "alarm": one.id,
            "status": one.status,
            "watch": one.watch,
            "cause": one.cause or ", ".join(one.monitors),
            "harm": one.harm,
            "harm_unit": one.harm_unit,
            "monitors": len(one.monitors),
            "n_windows": one.n_windows,
            "closed_at": one.closed_at,
            "action": one.action,
            "_links": {"cause": f"/dashboard/alarms/{one.id}"},
            "_tones": {"status": TONES[one.status]},
        }
        for one in found
    )
    columns = (
        Column("opened_at", "Since", "time"),
        Column("cause", "Cause", is_heading=True),
        Column("status", "Status", "badge"),
        Column("watch", "Watch"),
        Column("harm", "Harm", "figure"),
        Column("harm_unit", "of"),
        Column("monitors", "Monitors", "figure"),
        Column("n_windows", "Windows", "figure"),
        Column("alarm"),
        Column("closed_at"),
        Column("action"),
    )
    return Table("alarms", "Alarms", columns, rows, empty="No alarm is like that.")


def alarm(sources: Sources, identity: str) -> View:
    """Raises: NotFound."""
    found = sources.drift.alarm(identity)
    rows = tuple(
        {
            "told": cause.told,
            "monitor": cause.monitor,
            "slice": cause.slice,
            "share": cause.share,
            "harm": cause.harm,
            "action": cause.action,
            "examples": " · ".join(cause.examples),
        }
        for cause in found.causes
    )
    columns = (
        Column("told", "Cause", is_heading=True),
        Column("harm", f"Harm{f', {found.harm_unit}' if found.harm_unit else ''}", "figure"),
        Column("slice", "Where"),
        Column("share", "Share", "share"),
        Column("monitor", "Monitor", "code"),
        Column("examples", "Examples"),
        Column("action", "What to do"),
    )
    table = Table("causes", "Causes, the most harmful first", columns, rows, empty="No cause could be told.")
    return View("alarm.html", {"alarm": found, "tone": TONES[found.status]}, (table,))
