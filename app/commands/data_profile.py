"""assay data profile FILE: a first spec of any csv or parquet file, to read and mend · assay data list: the specs that are shipped."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.console import AsJson, print_json


def profile(
    file: Annotated[Path, typer.Argument(help="A .csv, .csv.gz or .parquet file.")],
    target: Annotated[str, typer.Option(help="The column to predict.")] = "",
    name: Annotated[str, typer.Option(help="The table's name; by default the file's.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write the spec to this file.", dir_okay=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Draft a table's contract: kinds, ranges, closed values, holes, ids, copies, and columns that know the answer."""
    from data.errors import InvalidInput
    from data.tabular.profile import as_yaml, drafted

    if out is not None and out.exists():
        raise InvalidInput(f"{out} is there already.", field="out", next_step="Name another file, or remove it.")
    draft = drafted(file, target=target, name=name)
    text = as_yaml(draft)
    if out is not None:
        out.write_text(text, "utf-8")
    if as_json:
        print_json(
            {
                "spec": draft.spec,
                "n_rows": draft.n_rows,
                "notes": list(draft.notes),
                "written": str(out) if out else None,
            }
        )
    elif out is not None:
        for note in draft.notes:
            print(f"Look: {note}")
        print(f"Wrote {out}. Read it, mend it, then: assay data check {out}")
    else:
        print(text, end="")


def list_(as_json: AsJson = False) -> None:
    """List the tables whose specs are shipped, and whether their files are here."""
    from data.tabular.table_spec import FileSource, known_tables, load_spec

    specs = [load_spec(path.stem) for path in known_tables()]
    facts = [
        {
            "name": spec.name,
            "description": spec.description,
            "n_columns": len(spec.columns),
            "target": spec.target,
            "is_here": not isinstance(spec.source, FileSource) or all(path.is_file() for path in spec.source.paths),
        }
        for spec in specs
    ]
    if as_json:
        print_json(facts)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = Table("table", "columns", "target", "files", "what a row is")
    for one in facts:
        cells = [
            one["name"],
            one["n_columns"],
            one["target"],
            "here" if one["is_here"] else "absent",
            one["description"],
        ]
        shown.add_row(*(escape(str(cell)) for cell in cells))
    Console(highlight=False, soft_wrap=True).print(shown)
