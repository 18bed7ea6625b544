"""The view of rollouts: what is live, what is on trial, and every change with who, when and why."""

from dataclasses import dataclass
from typing import Any

from app.web.dashboard.choice import choose
from app.web.dashboard.sources import Sources
from app.web.dashboard.table import Column, Table
from app.web.dashboard.view import Chart, View

PAGE = 100
MOST = 10_000
TONES = {"rollback": "bad", "promote": "good", "start": ""}


@dataclass(frozen=True)
class RolloutsFilter:
    name: str = ""
    is_download: bool = False


def rollouts(sources: Sources, wanted: RolloutsFilter) -> View:
    """Raises: InvalidInput for an unknown name."""
    live = sources.rollouts.live()
    name = choose("rollout", wanted.name, sorted(live.states), "")
    events = sources.rollouts.history(name, MOST if wanted.is_download else PAGE)
    states = [state for key, state in sorted(live.states.items()) if not name or key == name]
    tables = (_live_table(states), _events_table(events))
    told = f"{len(events)} changes of {len(states)} rollouts."
    columns = {"x": "at", "y": "name", "series": "action", "label": "version"}
    chart = Chart("events", "events", "Changes", told, columns)
    context: dict[str, Any] = {"names": sorted(live.states), "name": name, "page_length": PAGE, "n": len(events)}
    return View("rollouts.html", context, tables, (chart,) if events else ())


def _live_table(states) -> Table:
    rows = []
    for state in states:
        trial = state.candidate
        rows.append(
            {
                "name": state.name,
                "champion": state.champion.version if state.champion else "",
                "candidate": trial.release.version if trial else "",
                "stage": trial.stage.value if trial else "",
                "share": trial.share if trial and trial.stage.value == "canary" else None,
                "before": state.before[-1].version if state.before and state.before[-1] else "",
                "revision": state.revision,
                "_tones": {"stage": "warn"},
            }
        )
    columns = (
        Column("name", "Rollout", is_heading=True),
        Column("champion", "Champion"),
        Column("candidate", "On trial"),
        Column("stage", "Stage", "badge"),
        Column("share", "Share", "share"),
        Column("before", "Champion before"),
        Column("revision", "Revision", "figure"),
    )
    return Table("live", "In force now", columns, tuple(rows), empty="No rollout was ever started.")


def _events_table(events) -> Table:
    rows = tuple(
        {
            "at": event.at,
            "name": event.name,
            "action": event.action,
            "version": event.version,
            "who": event.who,
            "why": event.why,
            "verdict": event.verdict_id,
            "revision": event.revision,
            "_tones": {"action": TONES.get(event.action, "")},
        }
        for event in events
    )
    columns = (
        Column("at", "When", "time"),
        Column("name", "Rollout", is_heading=True),
        Column("action", "Change", "badge"),
        Column("version", "Version"),
        Column("who", "Who"),
        Column("why", "Why"),
        Column("verdict", "Verdict", "code"),
        Column("revision"),
    )
    return Table("events", "Changes, newest first", columns, rows, empty="Nothing changed yet.")
