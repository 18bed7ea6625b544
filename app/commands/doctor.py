"""assay doctor"""

import time
from typing import TYPE_CHECKING

import typer

from app.commands.console import AsJson, opened, print_json

if TYPE_CHECKING:
    from retrieval.keeper import Agreement, Keeper

app = typer.Typer()
SETTLES_WITHIN_S = 5


@app.command(epilog="Example: assay doctor --json")
def doctor(as_json: AsJson = False) -> None:
    """Check that database, dense and lexical index hold the same chunks, cut by today's settings. Exit 4 when they disagree."""
    with opened() as assay:
        found = _settled_agreement(assay.keeper)
        snapshot, n_cut_otherwise = assay.keeper.snapshot(), assay.n_cut_otherwise
    facts = {
        "agree": found.holds,
        "n_chunks": {
            "database": len(found.database),
            "dense": len(found.dense),
            "lexical": len(found.lexical),
        },
        "snapshot": snapshot.id,
        "generation": snapshot.generation,
        "embedder": snapshot.embedder,
        "n_texts_cut_by_other_settings": n_cut_otherwise,
    }
    if as_json:
        print_json(facts)
    else:
        typer.echo("\n".join(f"{name}: {value}" for name, value in facts.items()))
        if not found.holds:
            typer.echo("They disagree. Rebuild the indexes with: assay reindex")
        if n_cut_otherwise:
            typer.echo("The chunking settings have changed since. Cut those texts anew with: assay reindex")
    raise typer.Exit(0 if found.holds else 4)


def _settled_agreement(keeper: "Keeper") -> "Agreement":
    """What the three hold; while another process writes or indexes, they get a moment to agree."""
    deadline = time.monotonic() + SETTLES_WITHIN_S
    while not (found := keeper.agreement()).holds and time.monotonic() < deadline:
        time.sleep(0.2)
    return found
