"""assay tabular demo: a model of generated claims, from the contract to a running endpoint, offline and in about a minute.

Exit codes: 0 shown, 2 wrong use, 4 the server did not start.
"""

import time
from typing import Annotated

import typer

from app.commands.console import AsJson, print_json


def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Start the server and ask it.")] = True,
    stay: Annotated[bool, typer.Option("--stay/--leave", help="Keep serving until Ctrl-C.")] = True,
    as_json: AsJson = False,
) -> None:
    """Check, train, measure, explain and serve a model of generated claims; keeps the endpoint up until Ctrl-C."""
    from app.settings import load_settings
    from app.tabular_demo import ask, base_url, curl, endpoint, run_demo

    settings = load_settings()
    begun = time.monotonic()
    say = (lambda told: None) if as_json else typer.echo
    shown = run_demo(settings, say)
    facts = {
        "model": shown.done.model.ref,
        "folder": str(shown.done.folder),
        "mlflow_run": shown.done.run,
        "pictures": [str(path) for path in shown.pictures],
        "seconds": shown.seconds,
    }
    if not serve:
        _end(facts, begun, as_json)
        return
    say(f"\n{len(shown.seconds) + 1}. Endpoint")
    with endpoint(settings) as server:
        answered = ask(settings, shown.done)
        say(f"{base_url(settings)} answers: {answered['reply']['predictions'][0]}; p50 {answered['p50_ms']} ms by HTTP")
        _end(facts | {"endpoint": answered}, begun, as_json)
        if stay and not as_json:
            typer.echo(f"\nTry it:\n  {curl(settings, shown.done)}\n\nCtrl-C ends the server.")
            try:
                server.wait()
            except KeyboardInterrupt:
                typer.echo("")


def _end(facts: dict[str, object], begun: float, as_json: bool) -> None:
    took = round(time.monotonic() - begun, 1)
    if as_json:
        print_json(facts | {"total_seconds": took})
    else:
        typer.echo(f"\nDone in {took:.0f} s. MLflow run {facts['mlflow_run']}; model {facts['folder']}")
