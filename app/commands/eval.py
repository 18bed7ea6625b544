"""assay eval run handbook: the table of measured commands, one file each."""

import typer

from app.commands.eval_bias import bias
from app.commands.eval_grounding import grounding
from app.commands.eval_pii import pii
from app.commands.eval_reader import reader
from app.commands.eval_rerank import rerank
from app.commands.eval_retrieval import retrieval
from app.commands.eval_run import list_, run, show
from app.commands.eval_screens import injection, toxicity

app = typer.Typer(help="Measure how good it is.", no_args_is_help=True)

app.command(epilog="Example: assay eval run handbook")(run)
app.command("list", epilog="Example: assay eval list handbook")(list_)
app.command(epilog="Example: assay eval show handbook --metric citation_recall")(show)
app.command(epilog="Example: assay eval retrieval --beir ../shared/data/retrieval_cisi --mode all")(retrieval)
app.command(epilog="Example: assay eval rerank --beir ../shared/data/retrieval_cisi")(rerank)
app.command(epilog="Example: assay eval pii --data ../shared/data/pii_presidio/generated_large.jsonl.gz")(pii)
app.command(epilog="Example: assay eval bias --data bbq.jsonl.gz")(bias)
app.command(epilog="Example: assay eval reader --data ../shared/data/qa_squad_dev/v2.0.jsonl.gz --questions 500")(
    reader
)
app.command(epilog="Example: assay eval grounding --data ../shared/data/nli_rte/rte123.jsonl.gz")(grounding)
app.command(epilog="Example: assay eval toxicity --probes")(toxicity)
app.command(epilog="Example: assay eval injection --data texts.jsonl.gz")(injection)
