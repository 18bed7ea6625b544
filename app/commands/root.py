"""The table of verbs. A verb's module is imported only when that verb runs, so `assay --help` answers at once."""

from importlib import import_module

import click
import typer
from typer.core import TyperGroup

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
    "eval": "Measure retrieval on a folder in BEIR layout.",
    "mcp": "Serve search, ask and open-citation over the Model Context Protocol (stdio).",
}


class LazyGroup(TyperGroup):
    """Lists verbs from the table, imports `app.commands.<verb>` when it is invoked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return click.Command(name, help=VERBS[name]) if name in VERBS else None

    def resolve_command(self, ctx: click.Context, args: list[str]):
        name, command, rest = super().resolve_command(ctx, args)
        if command is None:
            return name, command, rest
        loaded = typer.main.get_command(import_module(f"app.commands.{name}").app)
        loaded.name = name
        return name, loaded, rest


def build() -> click.Command:
    app = typer.Typer(
        cls=LazyGroup,
        help="Answers questions from your team's own documents and shows the proof.",
        epilog="Start with: assay ingest docs/ && assay ask 'How do I add a retriever?'",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(lambda: None)
    return typer.main.get_command(app)
