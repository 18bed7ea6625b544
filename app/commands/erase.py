"""assay erase doc_0123456789abcdef --certificate erased.json"""

import os
from pathlib import Path
from typing import Annotated

import typer

from app.commands.console import AsJson, Groups, Tenant, opened, principal, print_json
from data.errors import InvalidInput

app = typer.Typer()


@app.command(epilog="Example: assay erase doc_0123456789abcdef --certificate erased.json")
def erase(
    identity: Annotated[str, typer.Argument(help="A document id, as `assay documents list` prints it.")],
    certificate: Annotated[Path, typer.Option(help="Where the signed certificate goes.")],
    groups: Groups = "",
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Delete a document and prove that it is gone.

    Looks for it afterwards in the database, in both indexes, in receipts, by searching, and byte for byte in every
    file; writes what was checked, signed with this installation's key. Exit 4 when a trace is left.
    """
    from app.erasure import erase as erase_document

    _check_writable(certificate)
    with opened() as assay:
        made = erase_document(assay, identity, principal(tenant, groups))
    certificate.write_text(made.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(made)
        raise typer.Exit(0 if made.is_clean else 4)
    for probe in made.probes:
        typer.echo(f"{'gone ' if probe.found == 0 else 'FOUND'}  {probe.store}: {probe.looked_for}")
    if made.kept_by:
        typer.echo(f"The same text is still held by {', '.join(made.kept_by)}: erase those too if it must go entirely.")
    typer.echo(f"Certificate: {certificate}; check it with assay verify {certificate}")
    raise typer.Exit(0 if made.is_clean else 4)


def _check_writable(path: Path) -> None:
    """Before anything is deleted: a certificate that cannot be written would be lost."""
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InvalidInput(
            f"{path} cannot be written. Nothing was deleted.",
            field="certificate",
            next_step="Choose a file in a folder that exists and is yours.",
        )
