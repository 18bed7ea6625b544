"""assay erase doc_0123456789abcdef --certificate out.json"""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.console import Groups, Tenant, opened, principal

app = typer.Typer()


@app.command(epilog="Example: assay erase doc_0123456789abcdef --certificate erased.json")
def erase(
    identity: Annotated[str, typer.Argument(help="A document id, as `assay documents list` prints it.")],
    certificate: Annotated[Path, typer.Option(help="Where the signed certificate goes.")],
    groups: Groups = "",
    tenant: Tenant = "default",
) -> None:
    """Delete a document and prove that it is gone.

    Looks for it afterwards in the database, in both indexes, in receipts, by searching, and byte for byte in every
    file; writes what was checked, signed with this installation's key. Exit 4 when a trace is left.
    """
    from app.erasure import erase as erase_document

    with opened() as assay:
        made = erase_document(assay, identity, principal(tenant, groups), forget=assay.forget)
    certificate.write_text(made.model_dump_json(indent=2) + "\n")
    for probe in made.probes:
        typer.echo(f"{'gone ' if probe.found == 0 else 'FOUND'}  {probe.store}: {probe.looked_for}")
    if made.kept_by:
        typer.echo(f"The same text is still held by {', '.join(made.kept_by)}: erase those too if it must go entirely.")
    typer.echo(f"Certificate: {certificate}")
    raise typer.Exit(0 if made.is_clean else 4)
