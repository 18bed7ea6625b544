"""assay data audit claims: rows that would use what nobody knew yet · assay data features claims: the feature store of its facts."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json

if TYPE_CHECKING:
    import pandas as pd

    from data.tabular.as_known import Audit, History
    from data.tabular.table_spec import TableSpec

Table = Annotated[str, typer.Argument(help="A shipped table's name (assay data list) or the path of a spec.")]


def audit(
    table: Table,
    history: Annotated[
        Path | None,
        typer.Option(
            help="Parquet of facts with event_timestamp and created_timestamp; a generated table has its own."
        ),
    ] = None,
    key: Annotated[str, typer.Option(help="The column that joins rows and facts; by default the spec's group.")] = "",
    ttl_days: Annotated[float, typer.Option(min=0, help="Facts true longer ago are missing; 0 for no limit.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Print how many training rows would change if only values known by their time were used."""
    from data.tabular.as_known import audit as audited

    spec, frame, facts = _frame_and_history(table, history, key)
    found = audited(frame, facts, spec.time, ttl_days=ttl_days or None)
    if as_json:
        print_json(asdict(found) | {"share_changed": found.share_changed})
    else:
        _print(found, spec)


def features(
    table: Table = "claims",
    folder: Annotated[Path | None, typer.Option(help="The Feast repository; by default var/features.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="A feature_store.yaml; by default parquet and SQLite on this machine.")
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(help="Serve what was known at this moment (UTC); by default all.")
    ] = None,
    online: Annotated[list[str] | None, typer.Option(help="Read this policy's facts back; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the facts for training and for serving; `feast -c FOLDER` works on the result."""
    from app.settings import load_settings
    from data.errors import MissingExtra

    try:
        from data.tabular.feature_store import store as feast_store
    except ImportError as error:
        raise MissingExtra(error.name or "feast", extra="tabular") from error
    there = folder or load_settings().var / "features"
    _, _, facts = _frame_and_history(table, None, feast_store.KEY)
    store = feast_store.PolicyStore(there, *([config] if config else []))
    store.write_history(facts.frame)
    store.apply()
    moment = at or facts.frame[facts.created].max().to_pydatetime()
    n_online = store.materialize(moment)
    read = dict(zip(online or [], store.online_facts(online), strict=True)) if online else {}
    told: dict[str, Any] = {
        "folder": str(there),
        "n_facts": len(facts.frame),
        "n_online": n_online,
        "known_by": moment.isoformat(),
        "online": read,
    }
    if as_json:
        print_json(told)
        return
    print(
        f"{told['n_facts']} facts for training, {n_online} policies for serving as known by {told['known_by']}: {there}"
    )
    for one, values in read.items():
        print(f"{one}: " + ", ".join(f"{name} {value}" for name, value in values.items()))


def _frame_and_history(table: str, path: Path | None, key: str) -> "tuple[TableSpec, pd.DataFrame, History]":
    import pandas as pd

    from data.errors import InvalidInput, NotFound
    from data.tabular.as_known import History
    from data.tabular.claims import generate_claims
    from data.tabular.table import load_table
    from data.tabular.table_spec import ClaimsSource, load_spec

    spec = load_spec(table)
    if not spec.time:
        raise InvalidInput(f"{spec.name} has no `time`: nobody can say what was known.", field="time")
    if path is None:
        if not isinstance(spec.source, ClaimsSource):
            raise InvalidInput(
                f"{spec.name} has no facts of its own.", field="history", next_step="Give --history FILE."
            )
        history = generate_claims(spec.source).policy_history
    elif not path.is_file():
        raise NotFound(f"There is no file {path}.", next_step="Name a parquet file of facts.")
    else:
        history = pd.read_parquet(path)
        for name in history.select_dtypes("datetimetz"):
            history[name] = history[name].dt.tz_convert(None)
    return spec, load_table(spec), History(history, key or spec.group)


def _print(found: "Audit", spec: "TableSpec") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as Shown

    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{spec.name}: {found.n_changed} of {found.n_rows} rows ({found.share_changed:.1%}) would change if only values known "
        f"by {spec.time} were used; {found.n_without_facts} rows had no fact by then."
    )
    counts = Shown("column", "rows that would change")
    for name, n in found.by_column.items():
        counts.add_row(escape(name), str(n))
    console.print(counts)
    if found.examples:
        shown = Shown("row", "key", "decided", "column", "known then", "after correction", "known from")
        for one in found.examples:
            cells = (one.row, one.key, one.at, one.column, one.as_known, one.as_corrected, one.known_from)
            shown.add_row(*(escape(str(cell)) for cell in cells))
        console.print(shown)
