"""`assay tabular ...` in this process, in a home of its own."""

from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from app.commands.tabular import app


def run(home: Path, *words: object) -> Result:
    """`exception` holds what the command would have been ended by."""
    return CliRunner().invoke(app, [str(word) for word in words], env={"ASSAY_HOME": str(home), "COLUMNS": "200"})
