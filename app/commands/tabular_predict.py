"""assay tabular predict MODEL --row '{...}' · assay tabular labels MODEL FILE

Exit codes: 0 good, 2 wrong use, 4 infrastructure.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, Tenant, print_json

if TYPE_CHECKING:
    from app.prediction import Predictions

Model = Annotated[str, typer.Argument(help="NAME (its champion), NAME@VERSION or NAME@ALIAS.")]


def predict(
    model: Model,
    row: Annotated[list[str], typer.Option(help="A row as JSON; @FILE reads a list of rows, or JSON lines.")],
    as_json: AsJson = False,
) -> None:
    """Score rows as the API does, with the same checks."""
    from data.records import Principal

    rows = [one for given in row for one in given_rows(given)]
    with opened_predictions() as predictions:
        found = predictions.predict(model, rows, f"cli-{uuid.uuid4().hex[:12]}", Principal(subject="cli"))
    told = [
        {"id": key, "score": float(score), "decision": bool(decision)}
        for key, score, decision in zip(found.keys, found.scored.scores, found.scored.decisions, strict=True)
    ]
    if as_json:
        print_json({"model": found.predictor.model.ref, "stage": found.stage, "predictions": told})
        return
    typer.echo(f"{found.predictor.model.ref} ({found.stage}), threshold {found.predictor.model.threshold:g}")
    for one in told:
        typer.echo(f"{one['id']}  {one['score']:.6f}  {'positive' if one['decision'] else 'negative'}")


def labels(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    file: Annotated[Path, typer.Argument(help="csv or parquet with the columns id, label and, if known, known_at.")],
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Tell what became known of predictions: by their id, or by the row's own (the column that the table names)."""
    from data.records import Principal

    with opened_predictions() as predictions:
        known = read_labels(file, predictions.spec(model))
        n = predictions.learn(model, known, Principal(tenant=tenant, subject="cli"))
    if as_json:
        print_json({"n_labels": len(known), "n_predictions": n})
    else:
        typer.echo(f"{len(known)} labels, about {n} kept predictions.")


def read_labels(file: Path, spec: Any) -> list[tuple[str, bool, Any]]:
    """Columns id, label, known_at; or those that the table's spec calls so. Raises: InvalidInput, NotFound."""
    import pandas as pd

    from data.errors import InvalidInput, NotFound
    from data.tabular.cells import TRUE, text_of

    if not file.is_file():
        raise NotFound(f"There is no file {file}.")
    frame = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, dtype=str, keep_default_na=False)
    named = {spec.id: "id", spec.target: "label", spec.known_at: "known_at"}
    frame = frame.rename(columns={old: new for old, new in named.items() if old and new not in frame})
    if absent := [name for name in ("id", "label") if name not in frame]:
        raise InvalidInput(f"{file} has no column {', '.join(absent)}.", field=absent[0])
    frame = frame[frame["label"].notna() & (frame["label"] != "")]
    words = frame["label"].map(text_of)
    is_positive = (words == spec.positive) | (words.str.lower().isin(TRUE) if spec.positive.lower() in TRUE else False)
    moments = pd.to_datetime(frame["known_at"], utc=True) if "known_at" in frame else [None] * len(frame)
    return [
        (text_of(subject), bool(label), None if moment is None or pd.isna(moment) else moment.to_pydatetime())
        for subject, label, moment in zip(frame["id"], is_positive, moments, strict=True)
    ]


@contextmanager
def opened_predictions() -> "Iterator[Predictions]":
    from app.settings import load_settings
    from app.telemetry import configure_logging
    from app.wiring import open_database, open_predictions

    settings = load_settings()
    configure_logging("warning")
    database = open_database(settings)
    try:
        predictions = open_predictions(settings, database)
        try:
            yield predictions
        finally:
            predictions.close()
    finally:
        database.close()


def given_rows(given: str) -> list[dict[str, Any]]:
    """Raises: InvalidInput."""
    from data.errors import InvalidInput

    try:
        text = Path(given[1:]).read_text("utf-8") if given.startswith("@") else given
        lines = text.strip().splitlines()
        found = [json.loads(line) for line in lines] if len(lines) > 1 and lines[0].endswith("}") else json.loads(text)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{given!r} holds no rows: {error}.", field="row", next_step="Write it as JSON.") from error
    return found if isinstance(found, list) else [found]
