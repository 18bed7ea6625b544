"""assay keys create ci --tenant acme --groups engineering --scopes read"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.commands.console import AsJson, Groups, Tenant, names, opened, print_json

app = typer.Typer(help="Create, list or revoke API keys.", no_args_is_help=True)
