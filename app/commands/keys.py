"""assay keys create ci --tenant acme --groups engineering --scopes read,write"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app.commands.console import AsJson, Groups, Tenant, names, opened, print_json

if TYPE_CHECKING:
    from app.keys import ApiKey

app = typer.Typer(help="Create, list or revoke API keys.", no_args_is_help=True)


@app.command(epilog="Example: assay keys create ci --groups engineering --scopes read --expires-days 90")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    tenant: Tenant = "default",
    groups: Groups = "",
    scopes: Annotated[str, typer.Option(help="What it may do: read, write, admin, analyst.")] = "read",
    rate: Annotated[int, typer.Option(min=1, help="Requests a minute.")] = 600,
    expires_days: Annotated[int | None, typer.Option(min=1, help="Days until it expires.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it once. From the first key on, the server answers only to keys, also on loopback."""
    from app.keys import KeyStore

    expires = datetime.now(UTC) + timedelta(days=expires_days) if expires_days else None
    with opened() as assay:
        key, token = KeyStore(assay.stores.database).create(
            name,
            tenant=tenant,
            groups=names(groups),
            scopes=names(scopes),
            rate_per_minute=rate,
            expires_at=expires,
        )
    if as_json:
        print_json(_plain(key) | {"token": token})
    else:
        typer.echo(
            f"{token}\n\nThis is the only time it is shown. Use it as: curl -H 'Authorization: Bearer {token}' ..."
        )


@app.command("list", epilog="Example: assay keys list")
def list_keys(as_json: AsJson = False) -> None:
    """List keys, the newest first, without their secrets."""
    from app.keys import KeyStore

    with opened() as assay:
        keys = KeyStore(assay.stores.database).list()
    if as_json:
        print_json([_plain(key) for key in keys])
        return
    table = Table("id", "name", "tenant", "groups", "scopes", "rate", "expires", "state")
    for k in keys:
        expires = k.expires_at.strftime("%Y-%m-%d") if k.expires_at else "never"
        state = "revoked" if k.revoked else "expired" if k.expires_at and k.expires_at <= datetime.now(UTC) else "valid"
        groups, scopes = ", ".join(sorted(k.groups)), ", ".join(sorted(k.scopes))
        table.add_row(k.id, k.name, k.tenant, groups, scopes, f"{k.rate_per_minute}/min", expires, state)
    Console().print(
        table if keys else "No keys: only loopback clients are answered. Make one with: assay keys create NAME"
    )


@app.command(epilog="Example: assay keys revoke 0123456789abcdef")
def revoke(
    identity: Annotated[str, typer.Argument(help="A key id, as `assay keys list` prints it.")],
) -> None:
    """Make a key useless, in every process within seconds."""
    from app.keys import KeyStore

    with opened() as assay:
        KeyStore(assay.stores.database).revoke(identity)
    typer.echo(f"Revoked {identity}.")


def _plain(key: "ApiKey") -> dict[str, Any]:
    """As JSON, sets in order."""
    return key.model_dump(mode="json") | {"groups": sorted(key.groups), "scopes": sorted(key.scopes)}
