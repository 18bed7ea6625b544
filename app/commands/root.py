"""The table of verbs. A verb's module is imported only when that verb runs, so `assay --help` answers at once."""

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

VERBS = {
    "serve": "Serve the API and the web page.",
    "ingest": "Add files and folders, or bring them up to date.",
    "ask": "Ask a question and see the sentences that answer it, each with its source.",
    "search": "Find chunks, with the score that each stage gave them.",
    "documents": "List, show or delete documents.",
    "keys": "Create, list or revoke API keys.",
    "verify": "Check a receipt offline: hashes, offsets and quotes.",
    "replay": "Repeat an answer's retrieval and say what differs.",
    "blame": "Name what changed between two receipts.",
    "erase": "Delete a document and prove that it is gone.",
    "reindex": "Rebuild the indexes, or change the embedding model without downtime.",
    "doctor": "Check that database, dense and lexical index agree.",
    "eval": "Run suites of samples, and measure retrieval and what else ships.",
    "redteam": "Attack your own documents in a copy, and see what works and which stage let it through.",
    "gate": "Compare two versions on a suite: pass, fail, or inconclusive.",
    "drift": "See drift of what is asked and of tables, and settle alarms.",
    "watch": "Run checks on a schedule, see what is watched, or see a demonstration.",
    "data": "Check, profile and audit tables, and build their feature store.",
    "tabular": "Train, measure, explain and serve models of tables.",
    "llm": "Start a vLLM server, and keep its adapters in line with the registry.",
    "rollout": "Move versions through shadow, canary and champion, and back.",
    "mcp": "Serve search, ask and open-citation over the Model Context Protocol (stdio).",
}


class LazyGroup(TyperGroup):
    """Lists verbs from the table, imports `app.commands.<verb>` when it is invoked."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = {name: TyperCommand(name, help=told) for name, told in VERBS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str, Any, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        loaded = typer.main.get_command(import_module(f"app.commands.{name}").app)
        loaded.name = name
        loaded.params = [p for p in loaded.params if p.name not in ("install_completion", "show_completion")]
        return name, loaded, rest


def build() -> Callable[..., None]:
    """The command line; call it with `prog_name`."""
    app = typer.Typer(
        cls=LazyGroup,
        help="Answers questions from your team's own documents and shows the proof.",
        epilog="Start with: assay ingest docs/ && assay ask 'How do I add a retriever?'",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_assay)
    return typer.main.get_command(app)


def _assay(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=lambda on: on and _print_version(), help="Print the version."
        ),
    ] = False,
) -> None:
    """What every verb has in common."""


def _print_version() -> None:
    from app.wiring import VERSION

    typer.echo(f"assay {VERSION}")
    raise typer.Exit
