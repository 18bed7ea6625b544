"""assay eval pii --data generated_large.jsonl.gz --json"""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.console import AsJson, print_json


def pii(
    data: Annotated[
        Path,
        typer.Option(help="Rows with full_text and spans (entity_type, start_position, end_position); .jsonl[.gz]."),
    ],
    as_json: AsJson = False,
) -> None:
    """Measure precision, recall and F2 of the personal data that is found, for each type that is claimed.

    Types that nobody claims to find (names, places, dates, ...) are listed with how many of them there were.
    """
    from data.redaction import KINDS, PERSONAL, personal_data
    from evals.pii import load_marked, measure

    facts = {"data": data.name, "redacted_by_default": list(PERSONAL)} | measure(
        load_marked(data), lambda text: [(f.kind, f.start, f.end) for f in personal_data(text, KINDS)]
    )
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def _print(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"{facts['data']}: {facts['n_texts']} texts, {facts['n_spans']} spans of the claimed types")
    table = Table("kind", "spans", "found", "precision", "recall", "95 %", "F2", "whole")
    for name, m in [*facts["kinds"].items(), ("all claimed", facts["all_claimed"])]:
        low_high = " .. ".join(f"{x:.3f}" for x in m["recall_95"]) if m["recall_95"] else "-"
        shares = [f"{m[key]:.3f}" if m[key] is not None else "-" for key in ("precision", "recall", "f2", "whole")]
        table.add_row(name, str(m["spans"]), str(m["found"]), *shares[:2], low_high, *shares[2:])
    console.print(table)
    others = ", ".join(f"{label} ({found['spans']})" for label, found in facts["not_claimed"].items())
    console.print(f"Not claimed, so not looked for: {others or 'none'}.")
