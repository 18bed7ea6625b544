"""assay serve [--sample]"""

from typing import Annotated

import typer

app = typer.Typer()


@app.command(epilog="Example: ASSAY_PORT=9000 assay serve")
def serve(
    sample: Annotated[
        bool, typer.Option("--sample", help="Ingest the sample corpus first if the store is empty.")
    ] = False,
) -> None:
    """Serve the API and the web page until interrupted; running answers are finished first."""
    from app.server import run
    from app.settings import load_settings

    run(load_settings(), with_sample=sample)
