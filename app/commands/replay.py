"""assay replay rcpt_0123456789abcdef"""

from typing import Annotated

import typer

from app.commands.console import AsJson, Tenant, opened, principal, print_json

app = typer.Typer()


@app.command(epilog="Example: assay replay rcpt_0123456789abcdef")
def replay(
    identity: Annotated[str, typer.Argument(help="A receipt id, as an answer carries it.")],
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Repeat an answer's retrieval and say what differs. Exit 1 when anything does."""
    with opened() as assay:
        done = assay.replay(identity, principal(tenant, ""))
    if as_json:
        print_json(done)
    elif done.identical:
        typer.echo(f"Identical, bit for bit: the same chunks with the same scores from {done.snapshot_now}.")
        if done.snapshot_now != done.snapshot_then:
            typer.echo(f"The index has moved on since, from {done.snapshot_then}; nothing that was retrieved changed.")
    else:
        typer.echo("\n".join(done.differences))
    raise typer.Exit(0 if done.identical else 1)
