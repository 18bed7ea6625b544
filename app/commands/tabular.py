"""assay tabular train CONFIG · assay tabular demo: the table of commands about tabular models, one file each."""

import typer

from app.commands.tabular_list import list_
from app.commands.tabular_train import train

app = typer.Typer(help="Train, measure, explain and serve models of tables.", no_args_is_help=True)

app.command(epilog="Example: assay tabular train claims search.trials=20")(train)
app.command("list", epilog="Example: assay tabular list")(list_)
