"""assay tabular train CONFIG · assay tabular demo: the table of commands about tabular models, one file each."""

import typer

from app.commands.tabular_batch import batch
from app.commands.tabular_demo import demo
from app.commands.tabular_evaluate import evaluate
from app.commands.tabular_explain import explain
from app.commands.tabular_fairness import fairness
from app.commands.tabular_list import list_
from app.commands.tabular_performance import performance
from app.commands.tabular_predict import labels, predict
from app.commands.tabular_release import alias, gate, release
from app.commands.tabular_skew import skew
from app.commands.tabular_train import train

app = typer.Typer(help="Train, measure, explain and serve models of tables.", no_args_is_help=True)

app.command(epilog="Example: assay tabular train claims search.trials=20")(train)
app.command("list", epilog="Example: assay tabular list")(list_)
app.command(epilog="Example: assay tabular evaluate claims --monotone claim_amount=up")(evaluate)
app.command(epilog="Example: assay tabular fairness claims@1 claims@2 --mitigate")(fairness)
app.command(epilog="Example: assay tabular explain claims --at 0")(explain)
app.command(epilog="Example: assay tabular performance claims --as-of 2025-11-01")(performance)
app.command(epilog="Example: assay tabular demo")(demo)
app.command(epilog="Example: assay tabular predict claims --row @claim.json")(predict)
app.command(epilog="Example: assay tabular batch claims claims-2026-03.parquet --out scores")(batch)
app.command(epilog="Example: assay tabular labels claims labels.csv")(labels)
app.command(epilog="Example: assay tabular skew claims --since 2026-03-01")(skew)
app.command(epilog="Example: assay tabular gate claims@2")(gate)
app.command(epilog="Example: assay tabular release claims@2 --stage canary --share 0.5 --lift 0.01 --base 0.08")(
    release
)
app.command(epilog="Example: assay tabular alias claims champion 2")(alias)
