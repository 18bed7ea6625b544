"""assay reindex [--embedder sentence-transformers/multi-qa-MiniLM-L6-cos-v1]"""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.commands.console import opened

app = typer.Typer()


@app.command(epilog="Example: assay reindex --embedder ./models/bge-small-en")
def reindex(
    embedder: Annotated[
        str | None, typer.Option(help="A Hugging Face id or local path; 'default' for the built-in model.")
    ] = None,
) -> None:
    """Rebuild the indexes from the database, or change the embedding model.

    Texts that were cut by other chunking settings (ASSAY_INGEST__CHUNKING__...) are cut anew first. A new model's vectors are
    made beside the present ones and swapped in when complete: searches go on meanwhile, in every process. Interrupted, the same
    command goes on where it was.
    """
    console = Console(stderr=True)
    try:
        with opened() as assay:
            if n_texts := assay.n_cut_otherwise:
                _follow(console, "Cutting", n_texts, assay.recut())
            if embedder is None:
                assay.keeper.merge()
                assay.keeper.rebuild_lexical()
            else:
                steps = assay.change_embedder("" if embedder == "default" else embedder)
                _follow(console, "Embedding", assay.catalog.feed.n_chunks(), steps)
            console.print(f"Ready: {assay.keeper.snapshot().n_chunks} chunks, embedder {assay.embedder.id}.")
    except KeyboardInterrupt:
        console.print("Interrupted; searches go on as before. Run the same command again to go on.")
        raise


def _follow(console: Console, what: str, total: int, steps: Iterator[int]) -> None:
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )
    with bar as progress:
        task = progress.add_task(what, total=total)
        for done in steps:
            progress.update(task, completed=done)
