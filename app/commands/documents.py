"""assay documents list | show ID | delete ID"""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.commands.console import AsJson, Groups, Tenant, opened, principal, print_json

app = typer.Typer(help="List, show or delete documents.", no_args_is_help=True)
Identity = Annotated[str, typer.Argument(help="A document id, as `assay documents list` prints it.")]


@app.command("list", epilog="Example: assay documents list --collection handbook")
def list_documents(
    collection: Annotated[str | None, typer.Option("--collection", "-c", help="Only this collection.")] = None,
    cursor: Annotated[str, typer.Option(help="Where the last page ended.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    groups: Groups = "",
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """List the documents that you may read, a page at a time."""
    with opened() as assay:
        page, after = assay.documents(principal(tenant, groups), collection, cursor, limit)
    if as_json:
        print_json({"data": [asdict(d) for d in page], "next_cursor": after})
        return
    table = Table("id", "title", "collection", "groups", "chunks", "version", "ingested")
    for d in page:
        when = d.ingested_at.strftime("%Y-%m-%d %H:%M")
        groups = ", ".join(sorted(d.groups))
        table.add_row(
            d.id, escape(d.title), escape(d.collection), escape(groups), str(d.n_chunks), str(d.version), when
        )
    console = Console()
    console.print(table if page else "No documents yet. Add some with: assay ingest PATH")
    if after:
        console.print(f"More: assay documents list --cursor {after}")


@app.command(epilog="Example: assay documents show doc_0123456789abcdef")
def show(identity: Identity, groups: Groups = "", tenant: Tenant = "default", as_json: AsJson = False) -> None:
    """Print a document's canonical text: what offsets in citations refer to."""
    with opened() as assay:
        document = assay.document(identity, principal(tenant, groups))
    if as_json:
        print_json(document)
    else:
        typer.echo(document.text)


@app.command(epilog="Example: assay documents delete doc_0123456789abcdef")
def delete(identity: Identity, groups: Groups = "", tenant: Tenant = "default") -> None:
    """Take a document out of every store. For a proof that it is gone: assay erase."""
    with opened() as assay:
        event = assay.delete(identity, principal(tenant, groups))
    typer.echo(f"Deleted {event.uri} ({event.document_id}).")
