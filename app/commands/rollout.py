"""assay rollout status | start | promote | rollback | bind | history"""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app.commands.console import AsJson, Tenant, print_json

if TYPE_CHECKING:
    from app.settings import Settings
    from serving.rollout.engine import RolloutEngine
    from serving.rollout.state import Release, RolloutState
    from serving.rollout.store import Live

app = typer.Typer(help="Move versions through shadow, canary and champion, and back.", no_args_is_help=True)
Why = Annotated[str, typer.Option("--why", help="The reason, for the history.")]
Who = Annotated[str, typer.Option("--who", help="Who decides; the system's user by default.")]
Name = Annotated[str, typer.Argument(help="The rollout's name.")]


@app.command(epilog="Example: assay rollout status support")
def status(
    name: Annotated[str, typer.Argument(help="One rollout; all by default.")] = "", as_json: AsJson = False
) -> None:
    """What is live, what is on trial, and what the evidence says."""
    with _engine() as (engine, _):
        live = engine.store.live()
        states = [engine.store.state(name)] if name else list(live.states.values())
        found = [_described(engine, state) for state in states]
    bindings = [b.model_dump(mode="json") for b in live.bindings.values() if b.name]
    if as_json:
        print_json({"rollouts": found, "bindings": bindings})
        return
    if not found:
        typer.echo("No rollouts yet. Start one with: assay rollout start NAME@VERSION")
    for rollout in found:
        _print(rollout)
    for b in bindings:
        typer.echo(f"bound: tenant {b['tenant']}, {b['collection'] or 'all collections'} -> {b['name']}")


@app.command(epilog="Example: assay rollout start support@challenger --stage shadow --why 'more training data'")
def start(
    ref: Annotated[str, typer.Argument(help="NAME@VERSION or NAME@ALIAS; NAME alone means its challenger.")],
    stage: Annotated[str, typer.Option(help="shadow, or canary (needs a passing verdict).")] = "shadow",
    share: Annotated[float, typer.Option(min=0.001, max=0.999, help="The canary's share of callers.")] = 0.1,
    policy: Annotated[Path | None, typer.Option(help="A YAML file with the policy's fields.")] = None,
    digest: Annotated[str, typer.Option(help="The files' digest, for a version outside the adapter registry.")] = "",
    why: Why = "",
    who: Who = "",
) -> None:
    """Put a registered version on trial."""
    from data.errors import InvalidInput
    from serving.rollout.state import Stage

    if stage not in (Stage.SHADOW, Stage.CANARY):
        raise InvalidInput(f"The stage is {stage!r}.", field="stage", next_step="Use shadow or canary.")
    with _engine() as (engine, settings):
        name, release = _release(settings, ref, digest)
        with gated():
            state = engine.store.start(
                name, release, decided_by(who, why), stage=Stage(stage), share=share, policy=_policy(policy)
            )
    typer.echo(f"{name}@{release.version} is on trial as {state.candidate.stage}.")


@app.command(epilog="Example: assay rollout promote support --why 'two quiet days'")
def promote(name: Name, why: Why = "", who: Who = "") -> None:
    """Move the version on trial one stage up. Exit 1 without a passing verdict of the gate."""
    with _engine() as (engine, _), gated():
        state = engine.store.promote(name, decided_by(who, why))
    now = state.candidate
    typer.echo(
        f"{name}@{now.release.version} answers {now.share:.0%} of callers."
        if now
        else f"{name}@{state.champion.version} is the champion."
    )


@app.command(epilog="Example: assay rollout rollback support --why 'wrong refunds'")
def rollback(name: Name, why: Why = "", who: Who = "") -> None:
    """Take back the version on trial, or where there is none the champion: in force everywhere within a second."""
    with _engine() as (engine, _):
        state = engine.store.rollback(name, decided_by(who, why))
    now = f"{name}@{state.champion.version}" if state.champion else "the base model"
    typer.echo(f"Everybody is answered by {now}.")


@app.command(epilog="Example: assay rollout bind support --tenant acme --collection tickets")
def bind(
    name: Annotated[str, typer.Argument(help="The rollout's name; '' takes the binding back.")],
    tenant: Tenant = "default",
    collection: Annotated[str, typer.Option("--collection", "-c", help="One collection; all by default.")] = "",
    why: Why = "",
    who: Who = "",
) -> None:
    """Answer a tenant's or a collection's questions with a rollout, where a request names no model."""
    with _engine() as (engine, _):
        engine.store.bind(tenant, collection, name, decided_by(who, why))
    place = f"{tenant}/{collection}" if collection else tenant
    typer.echo(f"{place} -> {name or 'the configured model'}")


@app.command(epilog="Example: assay rollout history support --at 2026-01-31T12:00")
def history(
    name: Annotated[str, typer.Argument(help="One rollout; all by default.")] = "",
    at: Annotated[str, typer.Option(help="Say what was live at this time (ISO 8601; UTC without a zone).")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many changes.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Who changed what, when, why, on which verdict; or with --at what was live then."""
    with _engine() as (engine, _):
        if at:
            live = engine.store.live(_moment(at))
            return _print_then(live, name, as_json)
        events = engine.store.history(name, limit)
    if as_json:
        print_json([event.model_dump(mode="json") for event in events])
        return
    table = Table("when (UTC)", "name", "change", "version", "who", "why", "verdict")
    for e in events:
        when = e.at.strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(when, e.name, e.action, e.version, e.who, e.why, e.verdict_id)
    Console().print(table if events else "Nothing has changed yet.")


@contextmanager
def _engine() -> Iterator[tuple["RolloutEngine", "Settings"]]:
    from app.settings import load_settings
    from app.wiring import open_database
    from serving.rollout.engine import RolloutEngine

    settings = load_settings()
    database = open_database(settings)
    try:
        yield RolloutEngine(database, settings.rollout), settings
    finally:
        database.close()


@contextmanager
def gated() -> Iterator[None]:
    """A missing verdict is the gate's no, exit 1, and not wrong use."""
    from serving.rollout.state import GateMissing

    try:
        yield
    except GateMissing as error:
        typer.echo(f"assay: {error}", err=True)
        raise typer.Exit(1) from error


def decided_by(who: str, why: str) -> Any:
    from serving.rollout.store import By

    return By(who or _user(), why)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without that user
        return "cli"


def _release(settings: "Settings", ref: str, digest: str) -> tuple[str, "Release"]:
    from app.adapters import open_registry, registered_release
    from serving.rollout.state import Release

    name, _, version = ref.partition("@")
    if digest:
        return name, Release(version=version, digest=digest)
    return registered_release(open_registry(settings), ref)


def _policy(path: Path | None) -> Any:
    import yaml
    from pydantic import ValidationError

    from data.errors import InvalidInput
    from serving.rollout.policy import RolloutPolicy

    try:
        return RolloutPolicy(**(yaml.safe_load(path.read_text()) or {})) if path else RolloutPolicy()
    except (OSError, ValidationError, yaml.YAMLError, TypeError) as error:
        raise InvalidInput(f"The policy {path} cannot be used: {error}", field="policy") from error


def _moment(text: str) -> datetime:
    from data.errors import InvalidInput

    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is no time.", field="at", next_step="Write it as 2026-01-31T12:00 or 2026-01-31T12:00+02:00."
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _described(engine: "RolloutEngine", state: "RolloutState") -> dict[str, Any]:
    judge = engine.judged(state.name)
    body = state.model_dump(mode="json", exclude={"before"})
    if judge is not None:
        body["evidence"] = [vars(reading) for reading in judge.readings()]
        body["decision"] = vars(judge.decision)
    return body


def _print(rollout: dict[str, Any]) -> None:
    champion, candidate = rollout["champion"], rollout["candidate"]
    live = f"{rollout['name']}@{champion['version']} (verdict {champion['verdict_id']})" if champion else "base model"
    typer.echo(f"{rollout['name']}: champion {live}")
    if candidate is None:
        return
    release, share = (
        candidate["release"],
        f", {candidate['share']:.0%} of callers" if candidate["stage"] == "canary" else "",
    )
    typer.echo(f"  on trial: {rollout['name']}@{release['version']} as {candidate['stage']}{share}")
    table = Table("metric", "units", "difference", "interval", "tolerance", "e worse", "e within")
    for r in rollout["evidence"]:
        difference = "-" if r["difference"] is None else f"{r['difference']:+.3f}"
        units, bounds = f"{r['n_candidate']} / {r['n_incumbent']}", f"{r['low']:+.2f} .. {r['high']:+.2f}"
        evidence = (f"{r['e_worse']:.3g}", f"{r['e_safe']:.3g}")
        table.add_row(r["metric"], units, difference, bounds, f"-{r['tolerance']:.2f}", *evidence)
    Console().print(table)
    typer.echo(f"  {rollout['decision']['move']}: {rollout['decision']['why']}")


def _print_then(live: "Live", name: str, as_json: bool) -> None:
    states = {n: s for n, s in live.states.items() if not name or n == name}
    bound = [b for b in live.bindings.values() if b.name]
    if as_json:
        print_json(
            {
                "rollouts": {n: s.model_dump(mode="json") for n, s in states.items()},
                "bindings": [b.model_dump(mode="json") for b in bound],
            }
        )
        return
    for n, s in states.items():
        champion = f"{n}@{s.champion.version} (digest {s.champion.digest[:12]})" if s.champion else "base model"
        trial = f"; {s.candidate.stage}: {n}@{s.candidate.release.version}" if s.candidate else ""
        typer.echo(f"{n}: {champion}{trial}")
    for b in bound:
        typer.echo(f"bound: tenant {b.tenant}, {b.collection or 'all collections'} -> {b.name}")
    if not states:
        typer.echo("Nothing was live.")
