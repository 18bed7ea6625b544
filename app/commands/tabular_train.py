"""assay tabular train CONFIG [key.field=value ...]: from a table to a measured, saved and registered model.

Exit codes: 0 trained, 1 the table was refused (critical finding, leak) or no model is fair enough, 2 wrong use, 4 MLflow or Optuna's storage out of reach.
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json

if TYPE_CHECKING:
    from app.tabular import Done


def train(
    config: Annotated[
        str, typer.Argument(help="A YAML config, or a shipped one: claims, carclaims, adult, compas, employment.")
    ],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.field=value, as in search.trials=20.")] = None,
    go_on: Annotated[bool, typer.Option("--go-on", help="Train although a column seems to know the answer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train the models of a config, keep the best, measure it once on held-out rows, save and register it."""
    from app.settings import load_settings
    from app.tabular import TableRefused, train_table_model
    from evals.tabular.selection import FairnessViolation
    from finetune.tabular.config import load_config

    log = (lambda told: None) if as_json else (lambda told: typer.echo(told, err=True))
    try:
        done = train_table_model(load_config(config, overrides or []), load_settings(), log=log, go_on=go_on)
    except (TableRefused, FairnessViolation) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    if as_json:
        print_json(as_dict(done))
    else:
        show(done)


def as_dict(done: "Done") -> dict[str, Any]:
    """For machines."""
    model = done.model
    return {
        "ref": model.ref,
        "digest": model.digest,
        "folder": str(done.folder),
        "kind": model.kind,
        "threshold": model.threshold,
        "metrics": {name: [_number(v) for v in (m.value, m.low, m.high)] for name, m in model.baseline.items()},
        "folds": {one.config.kind: dict(one.values) for one in done.trained.candidates},
        "findings": [str(one) for one in done.trained.findings],
        "provenance": dict(model.provenance),
        "mlflow_run": done.run,
        "mlflow_version": done.registered,
    }


def show(done: "Done") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    facts = done.model.provenance
    console.print(
        f"{done.model.ref}: {done.model.kind}, {facts['rows']['training']} training rows, "
        f"{facts['rows']['held_out']} held out ({facts['positives']['held_out']} positive)"
    )
    shown: Any = Table("held out", "value", "from", "to")
    for name, one in done.model.baseline.items():
        shown.add_row(name, *(f"{value:.4f}" for value in (one.value, one.low, one.high)))
    console.print(shown)
    console.print(f"Positive from {done.model.threshold:.4f} on. Card: {done.folder / 'README.md'}")
    if done.run:
        console.print(f"MLflow run {done.run}, version {done.registered} of {done.model.name}")


def _number(value: float) -> float | None:
    return float(value) if value == value else None
