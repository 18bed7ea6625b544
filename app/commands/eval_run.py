"""assay eval run handbook · assay eval list · assay eval show RUN"""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json
from app.commands.progress import bar

if TYPE_CHECKING:
    from app.evaluation import Evaluation
    from app.settings import Settings
    from data.records import EvalRow, EvalRun


def run(
    suite: Annotated[str, typer.Argument(help="A suite's name (assay eval list) or the path of its YAML.")],
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask and score everything anew: nothing from the cache.")
    ] = False,
    repeats: Annotated[int, typer.Option(min=0, help="Ask each sample so often; 0 for the suite's number.")] = 0,
    concurrency: Annotated[int, typer.Option(min=0, help="Samples asked at a time; 0 for the suite's number.")] = 0,
    limit: Annotated[int, typer.Option(min=0, help="Only the first so many samples; 0 for all.")] = 0,
    track: Annotated[
        bool | None, typer.Option("--track/--no-track", help="Log to MLflow; by default where mlflow is installed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a suite's samples, score the answers, keep the rows. Cut short, the same command goes on where it stopped."""
    from app.evaluation import evaluation
    from app.settings import load_settings
    from app.telemetry import configure_logging
    from evals.suite import load_suite

    settings = load_settings()
    configure_logging("warning")
    asked = load_suite(suite)
    if limit:
        asked = asked.model_copy(update={"dataset": asked.dataset.model_copy(update={"limit": limit})})
    with evaluation(asked, settings) as ready:
        total = len(ready.samples) * (repeats or asked.repeats)
        rows: list[EvalRow] = []
        with bar(f"Asking {ready.target.name}", total) as done:

            def report(row: "EvalRow") -> None:
                rows.append(row)
                done(len(rows))

            ended = ready.run(report, fresh=fresh, repeats=repeats or None, concurrency=concurrency or None)
        facts = _facts(ready, ended, rows, settings)
        if not as_json:
            from app.commands.eval_tables import print_run

            print_run(facts)
        facts["mlflow_run"] = _tracked(ready, ended, rows, settings, track)
    if as_json:
        print_json(facts)
    if ended.status == "failed":
        print(f"assay: every case failed; see: assay eval show {ended.id}", file=sys.stderr)
        raise typer.Exit(4)


def list_(
    suite: Annotated[str, typer.Argument(help="Only runs of this suite.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="So many runs at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the suites that are shipped, and the newest runs."""
    from app.settings import load_settings
    from app.wiring import open_database
    from evals.store import EvalStore
    from evals.suite import known_suites, load_suite

    database = open_database(load_settings())
    found = EvalStore(database).runs(suite, limit)
    database.close()
    facts = {
        "suites": [
            {"name": one.name, "description": one.description, "target": one.target.kind}
            for one in map(load_suite, known_suites())
        ],
        "runs": [
            {
                "run": r.id,
                "suite": r.suite,
                "target": r.target,
                "status": r.status,
                "created_at": r.created_at.isoformat(),
            }
            | summary
            for r, summary in found
        ],
    }
    if as_json:
        print_json(facts)
    else:
        from app.commands.eval_tables import print_list

        print_list(facts)


def show(
    run: Annotated[str, typer.Argument(help="A run's id, the beginning of one, or a suite's name for its newest run.")],
    metric: Annotated[
        str, typer.Option(help="The metric whose worst cases are shown; by default the first gated one.")
    ] = "",
    worst: Annotated[int, typer.Option(min=0, help="How many of the worst cases.")] = 10,
    rows: Annotated[bool, typer.Option("--rows", help="Every row, and not only the worst.")] = False,
    risk: Annotated[
        float, typer.Option(min=0.001, max=0.999, help="The risk that a threshold is calibrated for.")
    ] = 0.2,
    as_json: AsJson = False,
) -> None:
    """Show a run: means with intervals, errors, the risk-coverage curve, the worst cases."""
    from app.settings import load_settings
    from app.wiring import open_database
    from evals.store import EvalStore
    from evals.summary import errors, metric_named, metrics_in, selective, summarised
    from evals.summary import worst as worst_of

    database = open_database(load_settings())
    store = EvalStore(database)
    try:
        found = store.run(run)
        kept, spent = store.rows(found.id), store.summary(found.id)
    finally:
        database.close()
    metrics = metrics_in(kept, _known_metrics(found))
    ranked = metric_named(metrics, metric or _first(found, list(metrics))) if metrics else None
    questions = _questions(found)
    shown = [(row, None) for row in kept] if rows else worst_of(kept, ranked, worst) if ranked else []
    answers = selective(kept, risk)
    facts: dict[str, Any] = {
        "run": found.model_dump(mode="json"),
        "spent": spent,
        "metrics": {name: one.model_dump(mode="json") for name, one in summarised(kept, metrics).items()},
        "selective": answers.model_dump(mode="json") if answers else None,
        "errors": dict(errors(kept)),
        "ranked_by": ranked.name if ranked and not rows else "",
        "rows": [row.model_dump(mode="json") | {"question": questions.get(row.sample_id, "")} for row, _ in shown],
    }
    if as_json:
        print_json(facts)
    else:
        from app.commands.eval_tables import print_show

        print_show(facts)


def _facts(ready: "Evaluation", ended: "EvalRun", rows: "list[EvalRow]", settings: "Settings") -> dict[str, Any]:
    from evals.summary import as_json as summary

    spent = ready.store.summary(ended.id)
    return {
        "run": ended.id,
        "suite": ended.suite,
        "target": ended.target,
        "status": ended.status,
        **summary(rows, ready.metrics),
        **spent,
        "cost": cost(spent, settings),
    }


def cost(spent: dict[str, Any], settings: "Settings") -> float | None:
    """By the prices in the settings; None where there are none."""
    prices = settings.evals
    if not (prices.price_prompt or prices.price_completion):
        return None
    tokens = ((spent["prompt_tokens"], prices.price_prompt), (spent["completion_tokens"], prices.price_completion))
    return round(sum(n * price for n, price in tokens) / 1e6, 6)


def _tracked(
    ready: "Evaluation", ended: "EvalRun", rows: "list[EvalRow]", settings: "Settings", track: bool | None
) -> str | None:
    """The id of the MLflow run, or None where nothing was logged."""
    from app.wiring import build_eval_tracker
    from data.errors import MissingExtra
    from evals.summary import summarised

    if track is False or (track is None and not settings.evals.track):
        return None
    try:
        tracker = build_eval_tracker(settings)
    except MissingExtra as error:
        if track:
            raise
        print(f"assay: not logged to MLflow. {error}", file=sys.stderr)
        return None
    return tracker.log(ended, summarised(rows, ready.metrics), rows, ready.store.summary(ended.id))


def _known_metrics(run: "EvalRun") -> dict[str, Any]:
    """Which end of a metric is good, from the scorers of the run's suite that need no model."""
    from data.errors import InvalidInput
    from evals.scorers.registry import Tools, build_scorer, metrics_of
    from evals.suite import ScorerSpec

    built = []
    suite = run.config.get("suite")
    for given in suite.get("scorers", ()) if isinstance(suite, dict) else ():
        try:
            built.append(build_scorer(ScorerSpec.model_validate(given), _any_tools(Tools)))
        except InvalidInput:
            continue
    return metrics_of(built)


def _any_tools(tools: Any) -> Any:
    """Tools that are named and never asked: enough to learn what a scorer measures."""
    from evals.scorers.registry import Tool

    idle = Tool("idle", lambda *_: [])
    return tools(embed=idle, entails=idle, toxicity=idle, injection=idle)


def _first(run: "EvalRun", names: list[str]) -> str:
    suite = run.config.get("suite")
    gates = suite.get("gates", ()) if isinstance(suite, dict) else ()
    return next((gate["metric"] for gate in gates if gate["metric"] in names), names[0])


def _questions(run: "EvalRun") -> dict[str, str]:
    """The questions by sample, where the run's file is still what it was."""
    from pathlib import Path

    from data.errors import InvalidInput
    from evals.dataset import load_samples
    from evals.suite import DatasetSpec

    try:
        samples = load_samples(DatasetSpec(path=Path(str(run.config.get("dataset", "")))))
    except InvalidInput:
        return {}
    return {sample.id: sample.question for sample in samples}
