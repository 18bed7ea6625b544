"""assay tabular skew claims: are the features that the server logged those that training makes of the same rows, bit by bit?

Exit codes: 0 they are, 1 they are not, 2 wrong use, 3 nothing is logged.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from app.commands.console import AsJson, print_json
from app.commands.tabular_predict import opened_predictions


def skew(
    model: Annotated[str, typer.Argument(help="NAME, or NAME@VERSION for one version's log.")],
    since: Annotated[
        str, typer.Option(help="Only predictions from this moment on (ISO 8601; UTC without a zone).")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="The newest so many predictions.")] = 20_000,
    as_json: AsJson = False,
) -> None:
    """Make the features of kept predictions anew, one by one and in bulk, and compare bits."""
    from serving.tabular.log_skew import check_log

    name, _, version = model.partition("@")
    with opened_predictions() as predictions:
        predictions.spec(name)  # an unknown name is told as such
        found = check_log(predictions.store, predictions.kept.store, name, version, since=_moment(since), limit=limit)
    if as_json:
        print_json([asdict(one) for one in found])
    for one in found if not as_json else ():
        told = one.error or f"{one.n_rows} rows, {one.n_skewed} skewed, {one.n_other_scores} scored otherwise today"
        typer.echo(f"{name}@{one.version}: {told}")
        for feature, n in sorted(one.by_feature.items(), key=lambda pair: -pair[1])[:10]:
            typer.echo(f"  {feature}: {n} rows")
        for example in one.examples[:3]:
            typer.echo(f"  row {example.row}, {example.feature}: logged {example.logged!r}, now {example.expected!r}")
    if not found:
        typer.echo("No prediction is kept: nothing was asked, or ASSAY_TABULAR__LOG_SHARE is 0.", err=True)
        raise typer.Exit(3)
    if not all(one.is_clean for one in found):
        raise typer.Exit(1)


def _moment(text: str) -> datetime | None:
    from data.errors import InvalidInput

    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no time.", field="since", next_step="Write it as 2026-01-31T12:00.") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)
