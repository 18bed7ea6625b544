"""assay tabular evaluate claims: metrics with intervals, by segment, and behaviour tests, on rows the model never saw.

Exit codes: 0 good, 1 a behaviour test failed, 2 wrong use.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json

if TYPE_CHECKING:
    from evals.tabular.behaviour import Behaviour
    from evals.tabular.segments import Segment

Model = Annotated[str, typer.Argument(help="A model's name, name@version, name@alias, or folder.")]
Rows = Annotated[
    Path | None,
    typer.Option(help="Labelled rows (csv, parquet) the model did not see; by default its own held-out ones."),
]


def evaluate(
    model: Model,
    rows: Rows = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(help="A column to split by; may be repeated. By default the protected attributes."),
    ] = None,
    metric: Annotated[str, typer.Option(help="What decides that a segment is worse than the rest.")] = "roc_auc",
    monotone: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=up or COLUMN=down: the direction a score must follow; may be repeated."),
    ] = None,
    max_changed: Annotated[
        float, typer.Option(min=0, max=1, help="The share of decisions that may change with a protected attribute.")
    ] = 0.05,
    behaviour: Annotated[bool, typer.Option("--behaviour/--no-behaviour", help="Run the behaviour tests.")] = True,
    resamples: Annotated[int, typer.Option(min=50, help="Bootstrap samples.")] = 500,
    as_json: AsJson = False,
) -> None:
    """Measure a model on held-out rows: how good, for whom, and whether it behaves."""
    from app.settings import load_settings
    from app.tabular_evaluation import labelled_rows, opened_model, scored_rows
    from evals.tabular.behaviour import behaviours
    from evals.tabular.metrics import measure
    from evals.tabular.resampling import as_list
    from evals.tabular.segments import by_segment

    opened = opened_model(model, load_settings())
    frame = labelled_rows(opened, rows)
    scored = scored_rows(opened, frame)
    measured = measure(scored, n_resamples=resamples)
    columns = segment if segment is not None else [name for name in opened.protected if name in frame]
    segments = by_segment(scored, frame, opened.spec, known_columns(columns, frame, opened.ref), metric=metric)
    tests = (
        behaviours(opened, frame.head(500), monotone=_directions(monotone or []), max_changed=max_changed)
        if behaviour
        else []
    )
    facts = {
        "model": opened.ref,
        "rows": len(frame),
        "positives": int(scored.labels.sum()),
        "threshold": opened.threshold,
        "metrics": {name: as_list(one) for name, one in measured.items()},
        "segments": [_segment(one, metric) for one in segments],
        "behaviour": [one.__dict__ for one in tests],
    }
    if as_json:
        print_json(facts)
    else:
        _print(facts, segments, tests, metric, measured)
    if not all(one.passed for one in tests):
        raise typer.Exit(1)


def known_columns(columns: list[str], frame: Any, ref: str) -> list[str]:
    from data.errors import InvalidInput

    if absent := [name for name in columns if name not in frame]:
        raise InvalidInput(
            f"The rows of {ref} have no column {', '.join(absent)}.",
            field="segment",
            next_step=f"There are: {', '.join(map(str, frame))}.",
        )
    return columns


def _directions(given: list[str]) -> dict[str, Any]:
    from data.errors import InvalidInput

    found = dict(one.rpartition("=")[::2] for one in given)
    if wrong := [f"{column}={way}" for column, way in found.items() if not column or way not in ("up", "down")]:
        raise InvalidInput(
            f"{wrong[0]!r} is no direction.", field="monotone", next_step="Write --monotone claim_amount=up, or =down."
        )
    return found


def _segment(one: "Segment", metric: str) -> dict[str, Any]:
    from evals.tabular.resampling import as_list

    return {
        "column": one.column,
        "value": one.value,
        "rows": one.n_rows,
        "positives": one.n_positive,
        "metrics": {name: as_list(measured) for name, measured in one.metrics.items()},
        "difference": one.difference if one.difference == one.difference else None,
        "p_value": one.p_value,
        "is_worse": one.is_worse(metric),
        "note": one.note,
    }


def _print(
    facts: dict[str, Any], segments: "list[Segment]", tests: "list[Behaviour]", metric: str, measured: dict[str, Any]
) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from evals.tabular.resampling import told

    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{facts['model']}: {facts['rows']} rows, {facts['positives']} positives; decided from {facts['threshold']:.4f} on"
    )
    table = Table("metric", "value [95 % interval]")
    for name, one in measured.items():
        table.add_row(name, told(one))
    console.print(table)
    if segments:
        shown = Table("column", "value", "rows", "positives", metric, "less the rest", "p (Holm)", "")
        for one in segments:
            cells = [one.column, one.value, str(one.n_rows), str(one.n_positive)]
            if one.note:
                cells += ["", "", "", one.note]
            else:
                worse = "worse" if one.is_worse(metric) else ""
                cells += [told(one.metrics[metric]), f"{one.difference:+.4f}", f"{one.p_value:.3f}", worse]
            shown.add_row(*map(escape, cells))
        console.print(shown)
    if tests:
        behaved = Table("behaviour", "", "rows broken", "greatest change", "example")
        for one in tests:
            mark = "passes" if one.passed else "FAILS"
            cells = [one.name, mark, f"{one.n_broken} of {one.n_tried}", f"{one.worst:.3g}", one.example]
            behaved.add_row(*map(escape, cells))
        console.print(behaved)
