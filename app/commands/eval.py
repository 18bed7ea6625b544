"""assay eval run handbook: the table of measured commands, one file each."""

import typer

from app.commands.eval_bias import bias
from app.commands.eval_pii import pii
from app.commands.eval_retrieval import retrieval
from app.commands.eval_run import list_, run, show

app = typer.Typer(help="Measure how good it is.", no_args_is_help=True)

app.command(epilog="Example: assay eval run handbook")(run)
app.command("list", epilog="Example: assay eval list handbook")(list_)
app.command(epilog="Example: assay eval show handbook --metric citation_recall")(show)
app.command(epilog="Example: assay eval retrieval --beir ../shared/data/retrieval_cisi --mode all")(retrieval)
app.command(epilog="Example: assay eval pii --data ../shared/data/pii_presidio/generated_large.jsonl.gz")(pii)
app.command(epilog="Example: assay eval bias --data bbq.jsonl.gz")(bias)
