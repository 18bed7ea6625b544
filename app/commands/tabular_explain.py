"""assay tabular explain claims: what moves its scores, as pictures; one row with --row; why two groups differ with --groups.

Exit codes: 0 good, 2 wrong use.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json
from app.commands.tabular_evaluate import Model, Rows

if TYPE_CHECKING:
    from data.tabular.model import TabularModel
    from evals.tabular.explanation import Explained, Explanation, GroupDifference

N_ROWS = 2000


def explain(
    model: Model,
    rows: Rows = None,
    row: Annotated[str, typer.Option(help="One row as JSON; @FILE reads it from a file.")] = "",
    at: Annotated[int | None, typer.Option(min=0, help="Or the place of a held-out row, from 0.")] = None,
    groups: Annotated[
        list[str] | None, typer.Option(help="A protected attribute whose groups are compared; may be repeated.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="The folder for PNGs; by default var/tabular/explanations/NAME@VERSION.")
    ] = None,
    draw: Annotated[bool, typer.Option("--draw/--no-draw", help="Draw beeswarm and bar.")] = True,
    as_json: AsJson = False,
) -> None:
    """Explain one row, or the model over its held-out rows, by SHAP contributions in log-odds."""
    from app.settings import load_settings
    from app.tabular_evaluation import labelled_rows, opened_model
    from evals.tabular.explanation import Explainer

    settings = load_settings()
    opened = opened_model(model, settings)
    explainer = Explainer(opened)
    if row or at is not None:
        given = _given_row(row) if row else _held_out(labelled_rows(opened, rows), at or 0)
        found = explainer.row(given)
        if as_json:
            print_json({"model": opened.ref, **found.__dict__})
        else:
            _print_row(opened, given, found)
        return
    frame = labelled_rows(opened, rows).head(N_ROWS)
    explained = explainer.rows(frame)
    apart = {name: _apart(opened, explained, frame, name) for name in groups or []}
    folder = pictures or settings.var / "tabular" / "explanations" / (opened.ref if opened.version else opened.name)
    drawn = _draw(folder, explained, apart) if draw else {}
    facts = {
        "model": opened.ref,
        "rows": len(frame),
        "importance": explained.importance,
        "groups": {name: _difference(one) for name, one in apart.items()},
        "pictures": {name: str(path) for name, path in drawn.items()},
    }
    if as_json:
        print_json(facts)
    else:
        _print(facts, apart)


def _given_row(text: str) -> dict[str, Any]:
    import json

    from data.errors import InvalidInput

    content = Path(text[1:]).read_text("utf-8") if text.startswith("@") else text
    try:
        found = json.loads(content)
    except ValueError as error:
        raise InvalidInput(
            f"The row is not JSON: {error}.", field="row", next_step="""Write --row '{"age": 41}'."""
        ) from error
    if not isinstance(found, dict):
        raise InvalidInput(f"The row must be an object, not {type(found).__name__}.", field="row")
    return found


def _held_out(frame: Any, at: int) -> dict[str, Any]:
    from data.errors import NotFound

    if at >= len(frame):
        raise NotFound(f"There is no row {at}; there are {len(frame)}.", next_step="Count from 0.")
    return frame.iloc[at].to_dict()


def _apart(model: "TabularModel", explained: "Explained", frame: Any, attribute: str) -> "GroupDifference":
    from data.tabular.table import is_privileged
    from evals.tabular.explanation import group_difference
    from evals.tabular.groups import known_attribute

    known_attribute(model.spec, attribute)
    return group_difference(explained, is_privileged(frame, model.spec, attribute))


def _difference(one: "GroupDifference") -> dict[str, Any]:
    from evals.tabular.resampling import as_list

    return {
        "rows": {"privileged": one.n_rows[0], "unprivileged": one.n_rows[1]},
        "log_odds": one.log_odds,
        "calibration": one.calibration,
        "contributions": {name: as_list(measured) for name, measured in one.contributions.items()},
    }


def _draw(folder: Path, explained: "Explained", apart: "dict[str, GroupDifference]") -> dict[str, Path]:
    from data.errors import MissingExtra

    try:
        from evals.tabular.explanation_pictures import beeswarm, difference_bar, importance_bar
    except ImportError as error:
        raise MissingExtra(error.name or "shap", extra="tabular") from error
    pictures = {"beeswarm": beeswarm(explained), "bar": importance_bar(explained)}
    pictures |= {f"groups-{name}": difference_bar(one, "privileged", "unprivileged") for name, one in apart.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in pictures.items():
        (folder / f"{name}.png").write_bytes(content)
    return {name: folder / f"{name}.png" for name in pictures}


def _print_row(model: "TabularModel", row: dict[str, Any], found: "Explanation") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    decided = "positive" if found.score >= model.threshold else "negative"
    console.print(f"{model.ref}: score {found.score:.4f}, decided {decided} from {model.threshold:.4f} on")
    table = Table("column", "value", "log-odds")
    table.add_row("(before anything is known)", "", f"{found.base:+.4f}")
    for name, one in found.contributions.items():
        table.add_row(escape(name), escape(str(row.get(name, ""))), f"{one:+.4f}")
    if abs(found.calibration) > 1e-4:
        table.add_row("(calibration)", "", f"{found.calibration:+.4f}")
    table.add_row("in all", "", f"{found.log_odds:+.4f}")
    console.print(table)


def _print(facts: dict[str, Any], apart: "dict[str, GroupDifference]") -> None:
    from rich.console import Console
    from rich.table import Table

    from evals.tabular.resampling import told

    console = Console(highlight=False, soft_wrap=True)
    table = Table("column", f"mean |log-odds| over {facts['rows']} rows")
    for name, one in facts["importance"].items():
        table.add_row(name, f"{one:.4f}")
    console.print(table)
    for name, one in apart.items():
        console.print(
            f"{name}: the privileged score {one.log_odds:+.4f} log-odds above the others ({one.n_rows[0]} and {one.n_rows[1]} rows)"
        )
        shown = Table("column", "privileged less the others [95 % interval]")
        for column, measured in list(one.contributions.items())[:10]:
            shown.add_row(column, told(measured))
        console.print(shown)
    for path in facts["pictures"].values():
        console.print(f"Picture: {path}")
