"""assay watch status | check | serve | demo"""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.console import AsJson, print_json

app = typer.Typer(help="Run checks on a schedule, see what is watched, or see a demonstration.", no_args_is_help=True)


@app.command(epilog="Example: assay watch status")
def status(as_json: AsJson = False) -> None:
    """What the request log holds, and which alarms are open."""
    from app.settings import load_settings
    from app.wiring import open_database
    from evals.drift.requests import RequestStore
    from evals.drift.store import DriftStore

    settings = load_settings()
    database = open_database(settings)
    try:
        span = RequestStore(database).span()
        store = DriftStore(database)
        newest = {name: store.checks(name, limit=1)[0] for name in store.watches()}
        facts = {
            "requests": span[2] if span else 0,
            "from": span[0].isoformat() if span else None,
            "to": span[1].isoformat() if span else None,
            "share": settings.watch.share,
            "retention_days": settings.watch.retention_days,
            "open_alarms": store.n_open(),
            "watches": {
                name: {"outcome": c.outcome, "window_end": c.window_end.isoformat()} for name, c in newest.items()
            },
        }
    finally:
        database.close()
    if as_json:
        print_json(facts)
        return
    typer.echo(
        f"{facts['requests']} requests logged, {facts['from']} to {facts['to']}; kept for {facts['retention_days']} days."
    )
    for name, one in facts["watches"].items():
        typer.echo(
            f"{name:20} {one['outcome']:8} {one['window_end'][:16]}  open alarms: {facts['open_alarms'].get(name, 0)}"
        )


@app.command(epilog="Example: assay watch serve questions --every 24")
def serve(
    watches: Annotated[list[str], typer.Argument(metavar="WATCH...", help="Names or paths of watches.")],
    every: Annotated[float, typer.Option(min=0.02, help="Hours between checks.")] = 24,
) -> None:
    """Check watches on a schedule, as a Prefect deployment, until stopped."""
    from data.errors import MissingExtra
    from evals.drift.config import load_watch

    for watch in watches:
        load_watch(watch)
    try:
        from app.watch_schedule import serve as serve_checks
    except ImportError as error:
        raise MissingExtra(error.name or "prefect", extra="tabular") from error
    serve_checks(watches, every)


@app.command(epilog="Example: assay watch demo")
def demo(
    home: Annotated[
        Path | None, typer.Option(help="A folder for the demonstration's own store; var/watch-demo by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Two simulated months over the sample corpus with a drift in week six: alarm, cause, suite, action.

    It fills a store of its own, never yours; the last line says how to look at it in the dashboard.
    """
    from app.sample import ingest_sample, is_wanted
    from app.server import SAMPLES
    from app.settings import load_settings
    from app.telemetry import configure_logging
    from app.watch_demo import run_demo
    from app.wiring import open_assay
    from data.errors import InvalidInput
    from evals.drift.store import DriftStore

    given = load_settings()
    configure_logging("error")
    folder = (home or given.var / "watch-demo").resolve()
    if folder == given.home.resolve():
        raise InvalidInput(f"{folder} is your own store.", field="home", next_step="Name another folder.")
    from pydantic import SecretStr

    settings = given.model_copy(update={"home": folder, "database_url": SecretStr("")})
    assay = open_assay(settings)
    try:
        if DriftStore(assay.stores.database).watches():
            raise InvalidInput(
                f"{folder} holds a demonstration already.", field="home", next_step="Remove it, or name another folder."
            )
        if is_wanted(assay):
            ingest_sample(assay, SAMPLES)
        done = run_demo(settings, assay, suites=folder / "suites", told=lambda text: typer.echo(text, err=True))
        alarms = DriftStore(assay.stores.database).alarms(limit=5)
    finally:
        assay.close()
    if as_json:
        print_json(
            {
                "home": str(folder),
                "requests": done.n_requests,
                "alarms": [one.model_dump(mode="json") | {"status": one.status} for one in alarms],
            }
        )
        return
    for one in alarms:
        typer.echo(
            f"\nAlarm {one.id} ({one.status}), opened {one.opened_at:%Y-%m-%d}\n  {one.cause}\n  To do: {one.action}"
        )
        typer.echo(f"  Suite to review: {folder / 'suites' / f'{one.suite}.yaml'}" if one.suite else "  No suite yet.")
    typer.echo(f"\nSee it: ASSAY_HOME={folder} assay serve, then open /dashboard")
