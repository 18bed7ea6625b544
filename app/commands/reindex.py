"""assay reindex [--embedder sentence-transformers/multi-qa-MiniLM-L6-cos-v1]"""

from typing import Annotated

import typer
from rich.console import Console

from app.commands.console import opened

app = typer.Typer()


@app.command(epilog="Example: assay reindex --embedder ./models/bge-small-en")
def reindex(
    embedder: Annotated[
        str | None, typer.Option(help="A Hugging Face id or local path; 'default' for the built-in model.")
    ] = None,
) -> None:
    """Rebuild the indexes from the database, or change the embedding model.

    A new model's vectors are made beside the present ones and swapped in when complete: searches go on meanwhile,
    in every process. Interrupted, the same command goes on where it was.
    """
    console = Console(stderr=True)
    with opened() as assay:
        if embedder is None:
            assay.keeper.merge()
            assay.keeper.rebuild_lexical()
        else:
            total = assay.catalog.n_chunks()
            for done in assay.change_embedder("" if embedder == "default" else embedder):
                console.print(f"{done} of {total} chunks embedded", end="\r")
        console.print(f"Ready: {assay.keeper.snapshot().n_chunks} chunks, embedder {assay.embedder.id}.")
