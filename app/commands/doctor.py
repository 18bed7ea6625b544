"""assay doctor"""

import typer

from app.commands.console import AsJson, opened, print_json

app = typer.Typer()


@app.command(epilog="Example: assay doctor --json")
def doctor(as_json: AsJson = False) -> None:
    """Check that database, dense and lexical index hold the same chunks. Exit 4 when they do not."""
    with opened() as assay:
        found = assay.keeper.agreement()
        snapshot = assay.keeper.snapshot()
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
    }
    if as_json:
        print_json(facts)
    else:
        typer.echo("\n".join(f"{name}: {value}" for name, value in facts.items()))
        if not found.holds:
            typer.echo("They disagree. Rebuild the indexes with: assay reindex")
    raise typer.Exit(0 if found.holds else 4)
