"""assay blame rcpt_aaaa rcpt_bbbb"""

from typing import Annotated

import typer

from app.commands.console import AsJson, Tenant, opened, principal, print_json

app = typer.Typer()


@app.command(epilog="Example: assay blame rcpt_0123456789abcdef rcpt_fedcba9876543210")
def blame(
    before: Annotated[str, typer.Argument(help="A receipt id.")],
    after: Annotated[str, typer.Argument(help="Another receipt id.")],
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Name what changed between two receipts, the earliest cause first."""
    from app.receipts import blame as compare

    with opened() as assay:
        asker = principal(tenant, "")
        found = compare(assay.receipt(before, asker), assay.receipt(after, asker))
    if as_json:
        print_json([difference.model_dump(mode="json") for difference in found])
        return
    if not found:
        typer.echo("Nothing differs: the same question, snapshot, prompt, model and answer.")
    for n, difference in enumerate(found):
        typer.echo(
            f"{'cause  ' if n == 0 else '       '}{difference.component}\n    {difference.before}\n    {difference.after}"
        )
