"""assay mcp: an agent starts it and speaks over standard input and output"""

from typing import TYPE_CHECKING

import typer

from app.commands.console import Groups, Tenant, opened, principal
from app.settings import load_settings

if TYPE_CHECKING:
    from app.api.access import Caller
    from app.assay import Assay

app = typer.Typer()


@app.command(epilog="Example: claude mcp add assay -- .venv/bin/assay mcp --groups engineering")
def mcp(groups: Groups = "", tenant: Tenant = "default") -> None:
    """Serve search, ask and open-citation over the Model Context Protocol (stdio).

    Reads what the operator in the given tenant and groups may read; with ASSAY_MCP_KEY set, what that API key may.
    """
    from app.mcp_server import create_mcp

    with opened() as assay:
        assay.start()
        create_mcp(assay, load_settings().api, caller=_caller(assay, tenant, groups)).run("stdio")


def _caller(assay: "Assay", tenant: str, groups: str) -> "Caller":
    """Raises: Unauthenticated when the key is not valid."""
    from app.api.access import Caller
    from app.keys import KeyStore, Scope

    token = load_settings().mcp_key.get_secret_value()
    if not token:
        return Caller(principal(tenant, groups), frozenset({Scope.READ}))
    keys = KeyStore(assay.stores.database)
    keys.refresh()
    key = keys.verify(token)
    return Caller(key.principal, key.scopes)
