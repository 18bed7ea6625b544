"""assay llm up --model DIR | sync | status"""

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.commands.console import AsJson, print_json

if TYPE_CHECKING:
    from app.settings import Settings
    from serving.vllm.client import VLLMClient
    from serving.vllm.process import VLLMServer
    from serving.vllm.sync import Synced

app = typer.Typer(help="Start a vLLM server, and keep its adapters in line with the registry.", no_args_is_help=True)
WATCH_S = 1.0
RECHECK_S = 60.0
Url = Annotated[str, typer.Option(help="The server's URL; ASSAY_LLM__BASE_URL by default.")]


@app.command(epilog="Example: assay llm up --model var/toy --name tiny")
def up(
    model: Annotated[str, typer.Option(help="A folder in Hugging Face layout, or a Hugging Face id.")],
    name: Annotated[str, typer.Option(help="The base model's name at the server; the folder's by default.")] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Leave it running and return.")] = False,
) -> None:
    """Start vLLM for a base model with the registered adapters, and follow the rollouts until interrupted.

    To use a server that runs already, set ASSAY_LLM__BASE_URL instead, and run: assay llm sync --watch
    """
    from app.adapters import plan_server
    from app.settings import load_settings

    settings = load_settings()
    server = plan_server(settings, model, name)
    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        server.start(detached=detach)
        seconds = _wait(server, console)
        _welcome(server, settings, name or Path(model).name, seconds)
        if detach:
            _reconcile(settings, server.client, console)
            typer.echo(f"It runs as process {server.pid}. Stop it with: kill {server.pid}")
            return
        _follow(settings, server.client, console, server)
    except BaseException:
        server.stop()
        raise


@app.command("sync", epilog="Example: assay llm sync --url http://127.0.0.1:8011")
def sync_(
    url: Url = "",
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: after each change of a rollout, and each minute.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Load the adapters that may answer, unload those that may not, refuse changed files. Exit 4 when any was refused."""
    from app.adapters import open_client
    from app.settings import load_settings

    settings = load_settings()
    client = open_client(settings, url)
    try:
        if watch:
            _follow(settings, client, Console(stderr=True), None)
        done = _reconcile(settings, client, None if as_json else Console())
        if as_json:
            print_json([vars(one) for one in done])
    finally:
        client.close()
    raise typer.Exit(0 if all(one.is_good for one in done) else 4)


@app.command(epilog="Example: assay llm status")
def status(url: Url = "", as_json: AsJson = False) -> None:
    """Say whether the server answers and what it has loaded. Exit 4 when it does not answer."""
    from app.adapters import open_client
    from app.settings import load_settings

    client = open_client(load_settings(), url)
    try:
        models = client.models()
    finally:
        client.close()
    if as_json:
        print_json([vars(model) for model in models])
        return
    table = Table("model", "on", "from", title=client.base_url)
    for model in models:
        table.add_row(model.id, model.parent or "(base)", model.root)
    Console().print(table)


@app.command(epilog="Example: assay llm parity finetune/recipes/tiny_cpu.yaml")
def parity(
    recipe: Annotated[Path, typer.Argument(help="The recipe that the adapter was trained with.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, as they were given to training.")] = None,
    name: Annotated[str, typer.Option(help="A loaded adapter; by default the recipe's is loaded for the check.")] = "",
    url: Url = "",
) -> None:
    """Compare an adapter with base, merged, and as this server serves it: template, stop token, log-probabilities. Exit 1 when they differ."""
    from app.adapters import compare_served, open_client
    from app.settings import load_settings

    settings = load_settings()
    client = open_client(settings, url)
    try:
        report = compare_served(settings, client, recipe, tuple(overrides or ()), name)
    finally:
        client.close()
    for m in report.mismatches:
        typer.echo(f"{m.check}, {m.where}: {m.detail} {m.mend}")
    typer.echo(
        f"{' = '.join(report.compared)}: largest difference {report.largest_difference:.2g} nats "
        f"(allowed {report.tolerance:g}) over {report.n_tokens} tokens of {report.n_prompts} prompts"
    )
    raise typer.Exit(0 if report.is_passed else 1)


def _wait(server: "VLLMServer", console: Console) -> float:
    with console.status("vLLM starts ...") as spinner:
        return server.wait_until_ready(lambda s, line: spinner.update(f"vLLM starts ({s:.0f} s)  {line[-100:]}"))


def _welcome(server: "VLLMServer", settings: "Settings", name: str, seconds: float) -> None:
    typer.echo(
        f"\nvLLM answers at {server.client.base_url}/v1 after {seconds:.0f} s. Let Assay use it with:\n\n"
        f"  export ASSAY_LLM__BASE_URL={server.client.base_url}/v1 ASSAY_LLM__MODEL={name}\n"
    )
    sys.stdout.flush()


def _reconcile(settings: "Settings", client: "VLLMClient", console: Console | None) -> list["Synced"]:
    from app.adapters import open_registry, sync_adapters
    from app.wiring import open_database

    database = open_database(settings)
    try:
        done = sync_adapters(settings, database, open_registry(settings), client)
    finally:
        database.close()
    if console is not None:
        _print(console, done)
        if not done:
            console.print("No adapter is registered. Train one with: accelerate launch -m finetune.train RECIPE.yaml")
    return done


def _print(console: Console, done: list["Synced"]) -> None:
    for one in done:
        console.print(f"{one.done:9} {one.ref}  {one.why}", markup=False, highlight=False)


def _follow(settings: "Settings", client: "VLLMClient", console: Console, server: "VLLMServer | None") -> None:
    """Reconcile at once and after each change of a rollout, until interrupted or until our server ends.

    A server, database or registry that does not answer yet is asked again.
    """
    from app.wiring import open_database
    from data.errors import AssayError, InfrastructureError
    from serving.rollout.store import RolloutStore

    database = open_database(settings)
    store, seen, at = RolloutStore(database), None, float("-inf")
    try:
        while server is None or server.is_running:
            time.sleep(WATCH_S)
            try:
                now = store.generation()
                if seen != now or time.monotonic() - at > RECHECK_S:
                    is_first = at < 0
                    done = _reconcile(settings, client, console if is_first else None)
                    if not is_first:
                        _print(console, [one for one in done if one.done != "kept"])
                    at = time.monotonic()
                seen = now
            except AssayError as error:
                seen = None
                console.print(f"not synced: {error}", markup=False, highlight=False)
    finally:
        database.close()
    tail = "\n".join(server.tail()) if server else ""
    raise InfrastructureError(f"vLLM ended. The end of its log:\n{tail}\n", next_step="Start it again.")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
