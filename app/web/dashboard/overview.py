"""The first view: is anything wrong now, since when, how bad, and where to look."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from app.web.dashboard.drift import OUTCOMES, WORDS
from app.web.dashboard.gates import TONES as GATE_TONES
from app.web.dashboard.runs import TONES as RUN_TONES
from app.web.dashboard.runs import measured
from app.web.dashboard.sources import Sources
from app.web.dashboard.table import Column, Row, Table, interval
from app.web.dashboard.view import View, address

if TYPE_CHECKING:
    from evals.digest_store import RecentRun, SuiteLine

SEVERITY = ("bad", "warn", "info")
LOOKED_AT = 30
"""Runs of a suite, from the newest on, among which a better one is looked for."""
MOST_SUITES = 20
RECENT = timedelta(days=7)
ERRORS_SHOWN = 0.05
"""The share of errors from which on they are told."""
HEADLINES = {
    "bad": ("Something is wrong", "bad"),
    "warn": ("Something needs a look", "warn"),
    "info": ("Nothing is wrong", "good"),
    "": ("Nothing is wrong", "good"),
}


@dataclass(frozen=True)
class Finding:
    """`how_bad` is empty where nothing measures it."""

    tone: str
    what: str
    since: datetime
    how_bad: str
    link: str
    where: str


def overview(sources: Sources) -> View:
    now = datetime.now(UTC)
    suites = sorted(sources.runs.suites(), key=lambda s: s.newest, reverse=True)[:MOST_SUITES]
    recent = sources.runs.recent([suite.name for suite in suites], LOOKED_AT)
    watches = sources.drift.watches()
    findings = [
        *_alarms(sources),
        *_watches(sources, watches, now),
        *(one for suite in suites for one in _suite(suite, recent[suite.name])),
        *_gates(sources, now),
        *_rollouts(sources, now),
    ]
    findings.sort(key=lambda one: (SEVERITY.index(one.tone), -one.since.timestamp()))
    worst = findings[0].tone if findings else ""
    is_empty = not suites and not watches and not findings
    told, tone = ("Nothing is measured yet", "muted") if is_empty else HEADLINES[worst]
    tables = (
        _findings_table(findings),
        _suites_table(suites, recent),
        _watches_table(sources, watches),
        _verdicts_table(sources),
    )
    context = {"told": told, "tone": tone, "findings": findings, "is_empty": is_empty, "now": now}
    return View("overview.html", context | {"n_wrong": sum(f.tone != "info" for f in findings)}, tables)


def _alarms(sources: Sources) -> Iterator[Finding]:
    for alarm in sources.drift.alarms(only_open=True):
        tone = "bad" if alarm.status == "confirmed" else "warn"
        bad = f"{alarm.harm:.3g} of {alarm.harm_unit or 'harm'} lost, by estimate" if alarm.harm is not None else ""
        what = alarm.cause or f"{', '.join(alarm.monitors)} drifted"
        yield Finding(tone, what, alarm.opened_at, bad, f"/dashboard/alarms/{alarm.id}", f"drift in {alarm.watch}")


def _watches(sources: Sources, watches: list[str], now: datetime) -> Iterator[Finding]:
    """Those that fell silent, or have too little to go by."""
    for watch in watches:
        checks = sources.drift.checks(watch, limit=5)
        newest, link = checks[0], address("/dashboard/drift", {"watch": watch})
        if newest.outcome == "too_few":
            bad = f"{newest.n_current} in the window"
            yield Finding("warn", "Too few data to tell drift", newest.window_end, bad, link, f"drift in {watch}")
        gaps = [a.window_end - b.window_end for a, b in pairwise(checks)]
        usual = sorted(gaps)[len(gaps) // 2] if gaps else None
        if usual and now - newest.window_end > 3 * usual + timedelta(hours=1):
            bad = f"one was due every {_span(usual)}"
            yield Finding("warn", "No check of drift since", newest.window_end, bad, link, f"drift in {watch}")


def _suite(suite: "SuiteLine", recent: "list[RecentRun]") -> Iterator[Finding]:
    from evals.decline import declined
    from evals.digest_store import TrendPoint

    if not recent:
        return
    line, means = recent[0].line, recent[0].means
    link, where = f"/dashboard/runs/{line.id}", f"suite {suite.name}"
    if line.status == "failed":
        yield Finding("bad", "Every sample failed", line.created_at, f"{line.n_failed} of {line.n_rows}", link, where)
    elif line.n_rows and line.n_failed / line.n_rows > ERRORS_SHOWN:
        yield Finding("warn", "Samples fail", line.created_at, f"{line.n_failed} of {line.n_rows}", link, where)
    for metric, mean in means.items():
        series = [
            TrendPoint(run.line.id, run.line.created_at, run.line.target, run.line.ref, run.means[metric])
            for run in reversed(recent)
            if metric in run.means
        ]
        lost = declined(metric, series)
        if lost is not None:
            before, after = lost.before, lost.after
            unit = f" {mean.unit}" if mean.unit else ""
            bad = f"{before.summary.mean:.3g} → {after.summary.mean:.3g}{unit}"
            link = address("/dashboard/compare", {"a": before.run_id, "b": after.run_id, "metric": metric})
            yield Finding("bad", f"{metric} is worse than it was", lost.since, bad, link, where)


def _gates(sources: Sources, now: datetime) -> Iterator[Finding]:
    said = {"fail": "was refused by the gate", "inconclusive": "is not proven by the gate"}
    for line in sources.gates.newest():
        if line.conclusion != "pass" and now - line.created_at <= RECENT:
            what = f"{line.candidate} {said.get(line.conclusion, 'could not be judged by the gate')}"
            tone = "warn" if line.conclusion in ("fail", "infrastructure") else "info"
            yield Finding(tone, what, line.created_at, "", f"/dashboard/gates/{line.id}", f"suite {line.suite}")


def _rollouts(sources: Sources, now: datetime) -> Iterator[Finding]:
    newest = {event.name: event for event in reversed(sources.rollouts.history())}
    for name, event in newest.items():
        link = address("/dashboard/rollouts", {"name": name})
        if event.action == "rollback" and now - event.at <= RECENT:
            yield Finding(
                "warn", f"{name}@{event.version} was taken back", event.at, event.why, link, f"rollout {name}"
            )
        elif event.state.candidate is not None:
            trial = event.state.candidate
            what = f"{name}@{trial.release.version} is on trial as {trial.stage.value}"
            yield Finding("info", what, event.at, "", link, f"rollout {name}")


def _findings_table(findings: list[Finding]) -> Table:
    rows = tuple(
        {
            "tone": f.tone,
            "what": f.what,
            "since": f.since,
            "how_bad": f.how_bad,
            "where": f.where,
            "_links": {"what": f.link},
        }
        for f in findings
    )
    columns = tuple(Column(name) for name in ("tone", "what", "since", "how_bad", "where"))
    return Table("findings", "What is wrong", columns, rows)


def _suites_table(suites: "list[SuiteLine]", recent: "dict[str, list[RecentRun]]") -> Table:
    columns = (
        Column("suite", "Suite", is_heading=True),
        Column("at", "Newest run", "time"),
        Column("status", "Status", "badge"),
        Column("metric", "First metric"),
        *interval("mean", "Mean"),
        Column("n_failed", "Failed", "figure"),
        Column("n_runs", "Runs", "figure"),
    )
    rows = tuple(_suite_row(suite, recent[suite.name]) for suite in suites)
    return Table("suites", "Suites", columns, rows, empty="No run yet.")


def _suite_row(suite: "SuiteLine", recent: "list[RecentRun]") -> Row:
    line, means = (recent[0].line, recent[0].means) if recent else (None, {})
    metric, mean = next(iter(means.items()), ("", None))
    status = line.status if line else "running"
    return {
        "suite": suite.name,
        "at": line.created_at if line else suite.newest,
        "status": status,
        "metric": metric,
        **measured(mean),
        "n_failed": line.n_failed if line else 0,
        "n_runs": suite.n_runs,
        "_links": {"suite": address("/dashboard/runs", {"suite": suite.name})},
        "_tones": {"status": RUN_TONES.get(status, "muted")},
    }


def _watches_table(sources: Sources, watches: list[str]) -> Table:
    n_open, rows = sources.drift.n_open(), []
    for watch in watches:
        newest = sources.drift.checks(watch, limit=1)[0]
        rows.append(
            {
                "watch": watch,
                "at": newest.window_end,
                "outcome": WORDS.get(newest.outcome, newest.outcome),
                "n_open": n_open.get(watch, 0),
                "n_current": newest.n_current,
                "n_monitors": newest.n_monitors,
                "_links": {"watch": address("/dashboard/drift", {"watch": watch})},
                "_tones": {"outcome": OUTCOMES[newest.outcome], "n_open": "bad" if n_open.get(watch) else ""},
            }
        )
    columns = (
        Column("watch", "Watch", is_heading=True),
        Column("at", "Newest window's end", "time"),
        Column("outcome", "Outcome", "badge"),
        Column("n_open", "Open alarms", "figure"),
        Column("n_current", "In the window", "figure"),
        Column("n_monitors", "Monitors", "figure"),
    )
    return Table("watches", "Drift", columns, tuple(rows), empty="Nothing is watched yet.")


def _verdicts_table(sources: Sources) -> Table:
    from evals.gate_store import GateQuery

    rows = tuple(
        {
            "at": line.created_at,
            "suite": line.suite,
            "conclusion": line.conclusion,
            "candidate": line.candidate,
            "_links": {"candidate": f"/dashboard/gates/{line.id}"},
            "_tones": {"conclusion": GATE_TONES[line.conclusion]},
        }
        for line in sources.gates.lines(GateQuery(), 5)
    )
    columns = (
        Column("candidate", "Candidate", is_heading=True),
        Column("at", "When", "time"),
        Column("conclusion", "Conclusion", "badge"),
        Column("suite", "Suite"),
    )
    return Table("verdicts", "Newest verdicts of the gate", columns, rows, empty="No verdict yet.")


def _span(time: timedelta) -> str:
    hours = time.total_seconds() / 3600
    return f"{hours / 24:.3g} days" if hours >= 36 else f"{hours:.3g} hours"
