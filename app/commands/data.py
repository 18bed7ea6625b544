"""assay data check claims · assay data profile FILE: the table of commands about tables, one file each."""

import typer

from app.commands.data_check import check
from app.commands.data_facts import audit, features
from app.commands.data_profile import list_, profile

app = typer.Typer(help="Check, profile and audit tables; build their feature store.", no_args_is_help=True)

app.command(epilog="Example: assay data check claims")(check)
app.command(epilog="Example: assay data profile claims.csv --target fraud --out claims.yaml")(profile)
app.command("list", epilog="Example: assay data list")(list_)
app.command(epilog="Example: assay data audit claims")(audit)
app.command(epilog="Example: assay data features claims --online P000012")(features)
