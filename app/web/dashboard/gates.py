"""Views of the gate: its history, and one verdict with all that it rests on."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.web.dashboard.choice import choose
from app.web.dashboard.runs import MOST, PAGE, sample_address
from app.web.dashboard.sources import Sources
from app.web.dashboard.table import Column, Table
from app.web.dashboard.view import Chart, View

if TYPE_CHECKING:
    from evals.gate_report import GateReport

CONCLUSIONS = ("pass", "fail", "inconclusive", "infrastructure")
TONES = {"pass": "good", "fail": "bad", "inconclusive": "warn", "infrastructure": "warn"}
CHARTED = 500


@dataclass(frozen=True)
class GatesFilter:
    suite: str = ""
    conclusion: str = ""
    page: int = 1
    is_download: bool = False


def gates(sources: Sources, wanted: GatesFilter) -> View:
    """Raises: InvalidInput for an unknown suite or conclusion."""
    from evals.gate_store import GateQuery

    suites = sources.gates.suites()
    suite = choose("suite", wanted.suite, suites, "")
    conclusion = choose("conclusion", wanted.conclusion, CONCLUSIONS, "")
    query = GateQuery(suite, conclusion)
    n = sources.gates.n(query)
    limit, offset = (MOST, 0) if wanted.is_download else (PAGE, (wanted.page - 1) * PAGE)
    lines = sources.gates.lines(query, limit, offset)
    rows = tuple(
        {
            "at": line.created_at,
            "gate": line.id,
            "suite": line.suite,
            "conclusion": line.conclusion,
            "candidate": line.candidate,
            "baseline": line.baseline,
            "_links": {"gate": f"/dashboard/gates/{line.id}"},
            "_tones": {"conclusion": TONES[line.conclusion]},
        }
        for line in lines
    )
    columns = (
        Column("at", "When", "time"),
        Column("gate", "Verdict", "code", is_heading=True),
        Column("conclusion", "Conclusion", "badge"),
        Column("suite", "Suite"),
        Column("candidate", "Candidate"),
        Column("baseline", "Baseline"),
    )
    table = Table("gates", "Verdicts", columns, rows, is_cut=n > offset + len(rows), empty="No verdict is like that.")
    weeks = _weeks_table(sources.gates.lines(query, CHARTED))
    told = f"{n} verdicts by week."
    chart = Chart("bars", "weeks", "Verdicts by week", told, {"x": "week", "y": "n", "series": "conclusion"})
    context = {"suites": suites, "suite": suite, "conclusion": conclusion, "conclusions": CONCLUSIONS, "n": n}
    context |= {"page": wanted.page, "n_pages": -(-n // PAGE)}
    return View("gates.html", context, (table, weeks), (chart,) if rows else ())


def _weeks_table(lines) -> Table:
    """Of the newest verdicts."""
    counted = Counter((line.created_at.strftime("%G-W%V"), line.conclusion) for line in lines)
    rows = tuple({"week": week, "conclusion": said, "n": n} for (week, said), n in sorted(counted.items()))
    columns = (
        Column("week", "Week", is_heading=True),
        Column("conclusion", "Conclusion"),
        Column("n", "Verdicts", "figure"),
    )
    return Table("weeks", "Verdicts by week", columns, rows, is_hidden=True)


def gate(sources: Sources, identity: str) -> View:
    """Raises: NotFound."""
    report = sources.gates.get(identity)
    told = f"The change of {len(report.gates)} gated metrics with its 95 % interval."
    chart = Chart(
        "changes",
        "readings",
        "Changes",
        told,
        {"x": "difference", "low": "low", "high": "high", "y": "metric", "tone": "verdict"},
    )
    tables = (_readings_table(report), _worst_table(report), _power_table(report))
    context = {"report": report, "identity": identity, "tone": TONES[report.conclusion.value]}
    charts = (chart,) if any(reading.difference is not None for reading in report.gates) else ()
    return View("gate.html", context, tables, charts)


def _readings_table(report: "GateReport") -> Table:
    names = (
        "metric",
        "baseline",
        "candidate",
        "difference",
        "low",
        "high",
        "margin",
        "limit",
        "n_pairs",
        "n_clusters",
        "p_worse",
        "p_within",
    )
    rows = []
    for reading in report.gates:
        is_better = reading.difference is not None and (reading.difference > 0) == reading.higher_is_better
        told_apart = reading.low is not None and reading.high is not None and (reading.low > 0 or reading.high < 0)
        rows.append(
            {name: getattr(reading, name) for name in names}
            | {"outcome": reading.outcome.value, "why": reading.why}
            | {"verdict": ("better" if is_better else "worse") if told_apart else ""}
            | {"_tones": {"outcome": TONES[reading.outcome.value]}}
        )
    columns = (
        Column("metric", "Metric", is_heading=True),
        Column("outcome", "Outcome", "badge"),
        Column("baseline", "Baseline", "figure"),
        Column("candidate", "Candidate", "figure"),
        Column("difference", "Change", "interval"),
        Column("low"),
        Column("high"),
        Column("margin", "Margin", "figure"),
        Column("limit"),
        Column("n_pairs", "Pairs", "figure"),
        Column("n_clusters"),
        Column("p_worse"),
        Column("p_within"),
        Column("why", "Why"),
        Column("verdict"),
    )
    return Table("readings", "Gated metrics", columns, tuple(rows))


def _worst_table(report: "GateReport") -> Table:
    run = report.candidate.run_id
    rows = tuple(
        {
            "question": case.question,
            "sample": case.sample_id,
            "loss": case.loss,
            "scores": "; ".join(f"{name} {_number(a)} → {_number(b)}" for name, (a, b) in case.scores.items()),
            "_links": {"question": sample_address(run, case.sample_id)} if run else {},
        }
        for case in report.worst
    )
    columns = (
        Column("question", "Question", is_heading=True),
        Column("sample"),
        Column("loss", "Loss", "figure"),
        Column("scores", "Scores, baseline → candidate"),
    )
    return Table("worst", "Samples that lost most", columns, rows, empty="No sample lost anything.")


def _power_table(report: "GateReport") -> Table:
    names = ("metric", "n_samples", "n_clusters", "detectable", "margin", "chance_to_catch_margin", "chance_to_pass")
    rows = tuple({name: getattr(one, name) for name in names} for one in report.power)
    columns = (
        Column("metric", "Metric", is_heading=True),
        Column("n_samples", "Samples", "figure"),
        Column("n_clusters", "Documents", "figure"),
        Column("detectable", "Smallest loss found", "figure"),
        Column("margin", "Margin", "figure"),
        Column("chance_to_catch_margin", "Chance to catch a loss of the margin", "share"),
        Column("chance_to_pass", "Chance that no change passes", "share"),
    )
    return Table("power", "What could be found", columns, rows, empty="It was not foreseen.")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
