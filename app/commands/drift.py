"""assay drift check | report | replay | list | alarms | confirm | close | silence

Exit codes of `check`: 0 quiet, 1 alarm, 2 wrong use, 3 too few data, 4 infrastructure.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json

if TYPE_CHECKING:
    from app.watch_checks import Checked, DriftRunner
    from evals.drift.config import AnyWatch
    from evals.drift.findings import Findings
    from evals.drift.index_monitors import Recall
    from evals.drift.records import MonitorValue

EXIT = {"quiet": 0, "alarm": 1, "too_few": 3}
WatchName = Annotated[str, typer.Argument(metavar="WATCH", help="A watch's name or the path of its YAML.")]
AlarmId = Annotated[str, typer.Argument(metavar="ALARM", help="An alarm's id, or its beginning.")]
Who = Annotated[str, typer.Option(help="Who says so; you by default.")]
app = typer.Typer(help="See drift of what is asked and of tables, and settle alarms.", no_args_is_help=True)


@app.command(epilog="Example: assay drift check questions --json")
def check(
    watch: WatchName,
    at: Annotated[str, typer.Option(help="The end of the window (ISO, UTC); now by default.")] = "",
    dry: Annotated[bool, typer.Option("--dry", help="Store nothing, open no alarm, tell nobody.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the newest window with the reference.

    Exit 0 quiet, 1 alarm, 2 wrong use, 3 too few data, 4 infrastructure.
    """
    from app.watch_checks import CheckOptions
    from evals.drift.config import load_watch

    asked = load_watch(watch)
    with _running() as runner, _recall(asked, runner) as recall:
        options = CheckOptions(at=_moment(at), keeps=not dry, recall=recall)
        found = runner.check(asked, options)
    _print_check(found, as_json)
    raise typer.Exit(EXIT[found.findings.check.outcome])


@app.command(epilog="Example: assay drift report questions --out drift.html")
def report(
    watch: WatchName,
    out: Annotated[Path | None, typer.Option(help="Copy the page there.", dir_okay=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Name the files of a watch's newest check: our page, and evidently's as HTML and JSON."""
    from data.errors import NotFound

    with _running() as runner:
        checks = runner.store.checks(watch, limit=1)
        if not checks:
            raise NotFound(f"The watch {watch!r} was never checked.", next_step=f"Run: assay drift check {watch}")
        files = {name: runner.settings.var / where for name, where in checks[0].reports.items()}
    if out is not None and "html" in files:
        out.write_bytes(files["html"].read_bytes())
    if as_json:
        print_json(checks[0].model_dump(mode="json") | {"files": {name: str(path) for name, path in files.items()}})
        return
    for name, path in files.items():
        typer.echo(f"{name}: {path}")


@app.command(epilog="Example: assay drift replay questions --from 2026-09-01 --to 2026-11-01")
def replay(
    watch: WatchName,
    since: Annotated[str, typer.Option("--from", help="The first window begins here (ISO, UTC).")],
    until: Annotated[str, typer.Option("--to", help="No window ends after this; now by default.")] = "",
    as_json: AsJson = False,
) -> None:
    """Walk history window by window: what would have fired, and when. Stores nothing."""
    from evals.drift.config import load_watch

    asked = load_watch(watch)
    with _running() as runner:
        begin, end = _moment(since), _moment(until) or datetime.now(UTC)
        rows = [_replayed(found) for found in runner.replay(asked, begin or end, end)]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(
            f"{row['window_start'][:16]} to {row['window_end'][:16]}  {row['outcome']:8} {row['cause'] or ', '.join(row['monitors'])}"
        )


@app.command("list", epilog="Example: assay drift list")
def list_(as_json: AsJson = False) -> None:
    """Watches that ship, and the newest check of each that was checked."""
    from evals.drift.config import known_watches, load_watch

    with _running() as runner:
        known = {path.stem: load_watch(path) for path in known_watches()}
        names = sorted({*known, *runner.store.watches()})
        newest = {name: next(iter(runner.store.checks(name, limit=1)), None) for name in names}
    if as_json:
        print_json({name: one.model_dump(mode="json") if one else None for name, one in newest.items()})
        return
    for name, one in newest.items():
        told = f"{one.outcome} {one.window_end:%Y-%m-%d %H:%M}" if one else "never checked"
        typer.echo(f"{name:20} {told:28} {known[name].description if name in known else ''}".rstrip())


@app.command(epilog="Example: assay drift alarms alm_1f2e")
def alarms(
    alarm: Annotated[str, typer.Argument(help="One alarm's id; all where none is named.")] = "",
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not closed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Alarms, the most harmful open one on top; or all about one of them."""
    with _running() as runner:
        found = [runner.store.alarm(alarm)] if alarm else runner.store.alarms(only_open=only_open)
    if as_json:
        print_json([one.model_dump(mode="json") | {"status": one.status} for one in found])
        return
    for one in found:
        harm = f"{one.harm:.3f} {one.harm_unit}" if one.harm is not None else "unknown"
        typer.echo(f"{one.id}  {one.status:9}  {one.opened_at:%Y-%m-%d %H:%M}  {one.watch}  harm {harm}  {one.cause}")
        if alarm:
            for cause in one.causes:
                typer.echo(f"  {cause.told}\n    To do: {cause.action}")
                for example in cause.examples:
                    typer.echo(f"    e.g. {example}")
            typer.echo(
                f"  Monitors: {', '.join(one.monitors)}\n  Suite: {one.suite or 'none yet; written when it is confirmed'}"
            )


@app.command(epilog="Example: assay drift confirm alm_1f2e questions")
def confirm(alarm: AlarmId, watch: WatchName, who: Who = "", as_json: AsJson = False) -> None:
    """Say that an alarm is real: its regression suite is written now."""
    from evals.drift.config import load_watch

    with _running() as runner:
        kept, suite = runner.confirm(load_watch(watch), alarm, who or _me())
    if as_json:
        print_json(kept.model_dump(mode="json") | {"status": kept.status, "path": str(suite) if suite else None})
        return
    typer.echo(f"{kept.id} is confirmed. {f'Review {suite}' if suite else 'No suite was written.'}")


@app.command(epilog="Example: assay drift close alm_1f2e")
def close(alarm: AlarmId, who: Who = "") -> None:
    """Say that an alarm is over."""
    from evals.drift.alarms import close as close_alarm

    with _running() as runner:
        kept = close_alarm(runner.store, alarm, who or _me(), datetime.now(UTC))
    typer.echo(f"{kept.id} is closed.")


@app.command(epilog="Example: assay drift silence questions --days 7 --why 'new product launched'")
def silence(
    watch: WatchName,
    days: Annotated[float, typer.Option(min=0.01, help="For how many days.")] = 7,
    monitor: Annotated[str, typer.Option(help="Only this monitor, such as column.age; all by default.")] = "",
    why: Annotated[str, typer.Option(help="For those who wonder.")] = "",
    who: Who = "",
) -> None:
    """Keep alarms, but tell nobody for a while."""
    from evals.drift.records import Silence

    now = datetime.now(UTC)
    with _running() as runner:
        runner.store.silence(
            Silence(watch=watch, monitor=monitor, until=now + timedelta(days=days), at=now, who=who or _me(), why=why)
        )
    typer.echo(f"{watch} {monitor or 'as a whole'} is silent until {now + timedelta(days=days):%Y-%m-%d %H:%M} UTC.")


@contextmanager
def _running() -> "Iterator[DriftRunner]":
    from app.settings import load_settings
    from app.telemetry import configure_logging
    from app.watch_checks import DriftRunner
    from app.wiring import open_database

    settings = load_settings()
    configure_logging("warning")
    database = open_database(settings)
    try:
        yield DriftRunner(settings, database)
    finally:
        database.close()


@contextmanager
def _recall(watch: "AnyWatch", runner: "DriftRunner") -> "Iterator[Recall | None]":
    """The canaries' search, where the watch names a suite of them: the product is opened for it."""
    if watch.kind != "language" or not watch.knowledge.canaries:
        yield None
        return
    from app.watch_canaries import recall_of
    from app.wiring import open_assay

    assay = open_assay(runner.settings)
    try:
        yield recall_of(assay, watch)
    finally:
        assay.close()


def _moment(text: str) -> datetime | None:
    from data.errors import InvalidInput

    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is no time.", field="at", next_step="Write 2026-11-25 or 2026-11-25T08:00."
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _me() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


def _replayed(found: "Findings") -> dict[str, Any]:
    check = found.check
    return {
        "window_start": check.window_start.isoformat(),
        "window_end": check.window_end.isoformat(),
        "outcome": check.outcome,
        "n": check.n_current,
        "harm": check.harm,
        "cause": check.causes[0].told if check.causes else "",
        "monitors": [value.monitor for value in found.alarmed],
    }


def _print_check(found: "Checked", as_json: bool) -> None:
    check, alarm = found.findings.check, found.settled.alarm
    if as_json:
        print_json(
            check.model_dump(mode="json")
            | {
                "values": [value.model_dump(mode="json") for value in found.findings.values],
                "event": found.settled.event,
                "alarm": alarm.model_dump(mode="json") | {"status": alarm.status} if alarm else None,
                "suite": str(found.suite) if found.suite else None,
                "deliveries": [{"way": d.way, "ok": d.ok, "reason": d.reason} for d in found.deliveries],
            }
        )
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{check.watch}: {check.outcome.replace('_', ' ')}; {check.n_current} rows against {check.n_reference}. {check.note}"
    )
    for cause in check.causes:
        harm = f"[{cause.harm:.3f} {check.harm_unit}] " if cause.harm is not None else ""
        console.print(escape(f"  {harm}{cause.told} {cause.action}"))
    if found.findings.values:
        table = Table("monitor", "effect", "95 %", "threshold", "")
        for value in sorted(found.findings.values, key=lambda v: not v.is_alarm):
            table.add_row(*map(escape, _cells(value)))
        console.print(table)
    if alarm:
        console.print(f"Alarm {alarm.id}: {found.settled.event}, {alarm.status}.")
    if found.suite:
        console.print(f"Review the suite: {found.suite}")
    for delivery in found.deliveries:
        console.print(f"{delivery.way}: {'told' if delivery.ok else f'not told, {delivery.reason}'}")


def _cells(value: "MonitorValue") -> tuple[str, ...]:
    def number(x: float | None) -> str:
        return "" if x is None else f"{x:.4f}"

    interval = f"{number(value.low)} to {number(value.high)}" if value.low is not None else ""
    return value.monitor, number(value.value), interval, number(value.threshold), "alarm" if value.is_alarm else ""
