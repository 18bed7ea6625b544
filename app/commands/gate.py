"""assay gate handbook --baseline prompt:answer@1 --candidate prompt:answer@2

Exit codes: 0 pass, 1 fail, 2 wrong use, 3 inconclusive, 4 infrastructure.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.console import AsJson, print_json

if TYPE_CHECKING:
    from app.references import References
    from app.settings import Settings
    from evals.gate import GatePlan
    from evals.gate_report import GateReport, PowerReading

app = typer.Typer()
Target = Annotated[Path | None, typer.Option(help="Write this report to a file.", dir_okay=False)]


@app.command(
    epilog="Example: assay gate handbook --baseline run:run_1a2b --candidate prompt:answer@2 --markdown gate.md"
)
def gate(
    suite: Annotated[str, typer.Argument(help="A suite's name (assay eval list) or the path of its YAML.")],
    baseline: Annotated[
        str,
        typer.Option(
            help="What must not be lost: current, run:ID, prompt:NAME@VERSION, adapter:NAME@VERSION, git:REV, settings:KEY=VALUE"
        ),
    ],
    candidate: Annotated[str, typer.Option(help="What is judged, named in the same way.")] = "current",
    repeats: Annotated[int, typer.Option(min=0, help="Ask each sample so often; 0 for the suite's number.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Nothing from the cache.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Ask every sample, also when the verdict is settled.")] = False,
    plan_only: Annotated[bool, typer.Option("--plan", help="Say what could be found, and ask nothing.")] = False,
    labels: Annotated[Path | None, typer.Option(help="Human scores, JSON lines, to correct a judge.")] = None,
    markdown: Target = None,
    junit: Target = None,
    sarif: Target = None,
    report: Annotated[Path | None, typer.Option(help="Write the JSON report to a file.", dir_okay=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a candidate with a baseline on a suite: pass, fail, or inconclusive.

    First it says what it can find. Both sides answer the same samples, in random order by document, until the evidence is enough;
    stopping then is accounted for. Exit 0 pass, 1 fail, 2 wrong use, 3 inconclusive, 4 infrastructure.
    """
    from app.references import GateOptions, opened_suite
    from app.settings import load_settings
    from app.telemetry import configure_logging
    from evals.suite import load_suite

    settings = load_settings()
    configure_logging("warning")
    _check_places(markdown, junit, sarif, report)
    asked = load_suite(suite)
    with opened_suite(asked, settings, GateOptions(fresh, repeats)) as references:
        plan = _plan(references, (baseline, candidate), labels, all_)
        if plan_only:
            return _print_plan(plan, as_json)
        found = _judged(plan)
        _keep(found, settings)
        _record(found, references, settings)
        for path, text in _written(found, markdown, junit, sarif, report, suite):
            path.write_text(text, encoding="utf-8")
    _print(found, as_json)
    raise typer.Exit(found.conclusion.exit_code)


def _check_places(*paths: Path | None) -> None:
    """Before anything is spent: a verdict that cannot be written down is none."""
    from data.errors import InvalidInput

    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            raise InvalidInput(f"There is no folder {path.parent} for {path.name}.", field="path", next_step="Make it.")


def _plan(references: "References", refs: tuple[str, str], labels: Path | None, asks_all: bool) -> "GatePlan":
    from data.errors import InvalidInput
    from evals.gate import GatePlan
    from evals.gate_config import checked
    from evals.human_labels import load_labels

    ready = references.ready
    if not ready.suite.gates:
        raise InvalidInput(
            f"The suite {ready.suite.name} has no gates, so nothing can fail it.",
            field="suite",
            next_step="Add to its YAML: gates: [{metric: .., margin: 0.05}]",
        )
    metrics = checked(ready.suite.gates, ready.metrics)
    known = load_labels(labels) if labels else {}
    before, after = references.pair(*refs)
    return GatePlan(
        suite=ready.suite.name,
        gates=ready.suite.gates,
        rules=ready.suite.rules,
        metrics=metrics,
        samples=tuple(ready.samples),
        baseline=before,
        candidate=after,
        pilot=references.pilot(before),
        labels=known,
        asks_all=asks_all,
    )


def _judged(plan: "GatePlan") -> "GateReport":
    from app.commands.progress import bar
    from evals.gate import run_gate

    with bar(f"Asking {plan.candidate.ref} and {plan.baseline.ref}", len(plan.samples)) as done:
        return run_gate(plan, _foretell, done)


def _foretell(power: "list[PowerReading]") -> None:
    from evals.reports.markdown import told_power

    for one in power:
        print(f"can find: {told_power(one)}", file=sys.stderr)


def _print_plan(plan: "GatePlan", as_json: bool) -> None:
    from evals.gate_power import power_readings
    from evals.reports.markdown import told_power

    power = power_readings(plan.gates, plan.metrics, plan.rules, plan.samples, plan.pilot)
    if as_json:
        print_json(power)
        return
    for one in power:
        typer.echo(told_power(one))


def _keep(found: "GateReport", settings: "Settings") -> None:
    """For /dashboard/gates."""
    from app.wiring import open_database
    from evals.gate_store import GateHistory

    database = open_database(settings)
    try:
        GateHistory(database).keep(found)
    finally:
        database.close()


def _record(found: "GateReport", references: "References", settings: "Settings") -> None:
    """Keep the verdict on an adapter, so that `assay rollout` may promote it. Where nothing was judged, nothing is kept."""
    adapter = references.adapter(found.candidate.ref)
    if adapter is None or found.conclusion.outcome is None:
        return
    from app.wiring import open_database
    from data.records import Verdict
    from serving.rollout.verdicts import new_verdict_id, record_verdict

    name, release = adapter
    verdict = Verdict(
        id=new_verdict_id(),
        name=name,
        version=release.version,
        digest=release.digest,
        outcome=found.conclusion.outcome,
        created_at=found.created_at,
        detail={
            "suite": found.suite,
            "baseline": found.baseline.ref,
            "baseline_run": found.baseline.run_id,
            "candidate_run": found.candidate.run_id,
            "gates": {gate.metric: gate.why for gate in found.gates},
        },
    )
    database = open_database(settings)
    try:
        record_verdict(database, verdict)
    finally:
        database.close()
    print(f"verdict {verdict.id} on {name}@{release.version}", file=sys.stderr)


def _written(
    found: "GateReport",
    markdown: Path | None,
    junit: Path | None,
    sarif: Path | None,
    report: Path | None,
    suite: str,
) -> list[tuple[Path, str]]:
    from app.settings import ROOT
    from app.wiring import VERSION
    from evals.reports.json_report import to_json
    from evals.reports.junit import to_junit
    from evals.reports.markdown import to_markdown
    from evals.reports.sarif import to_sarif
    from evals.suite import SUITES

    path = Path(suite)
    shown = path if path.is_file() else (SUITES / f"{suite}.yaml").relative_to(ROOT)
    texts = (
        (markdown, to_markdown),
        (junit, to_junit),
        (report, to_json),
        (sarif, lambda found: to_sarif(found, shown.as_posix(), VERSION)),
    )
    return [(path, make(found)) for path, make in texts if path is not None]


def _print(found: "GateReport", as_json: bool) -> None:
    from evals.reports.json_report import to_facts
    from evals.reports.markdown import to_markdown

    if as_json:
        print_json(to_facts(found))
        return
    typer.echo(to_markdown(found))
    typer.echo(found.headline)
