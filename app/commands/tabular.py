"""assay tabular train CONFIG · assay tabular demo: the table of commands about tabular models, one file each."""

import typer

from app.commands.tabular_demo import demo
from app.commands.tabular_evaluate import evaluate
from app.commands.tabular_explain import explain
from app.commands.tabular_fairness import fairness
from app.commands.tabular_list import list_
from app.commands.tabular_performance import performance
from app.commands.tabular_train import train

app = typer.Typer(help="Train, measure, explain and serve models of tables.", no_args_is_help=True)

app.command(epilog="Example: assay tabular train claims search.trials=20")(train)
app.command("list", epilog="Example: assay tabular list")(list_)
app.command(epilog="Example: assay tabular evaluate claims --monotone claim_amount=up")(evaluate)
app.command(epilog="Example: assay tabular fairness claims@1 claims@2 --mitigate")(fairness)
app.command(epilog="Example: assay tabular explain claims --at 0")(explain)
app.command(epilog="Example: assay tabular performance claims --as-of 2025-11-01")(performance)
app.command(epilog="Example: assay tabular demo")(demo)
