"""python -m finetune.held_out RECIPE.yaml OUT.jsonl.gz [--side train] [key=value ...]

Write the rows that a recipe holds out (or trains on), in the fields that `assay eval reader|grounding|toxicity|injection` reads: the
split is by a hash, so these are the rows that the adapter never saw. Loads no weights.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.errors import AssayError, InvalidInput
from finetune.encoder_recipes import ClassifierRecipe, GroundingRecipe, ReaderRecipe
from finetune.encoders import grounding_rows, reader_rows
from finetune.encoders.built_rows import BuiltRow, Parted, parted_rows
from finetune.encoders.label_rows import labelled_rows
from finetune.recipe import AnyRecipe, load_recipe


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="finetune.held_out", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--side", choices=("eval", "train"), default="eval", help="held-out rows, or those trained on")
    given = parser.parse_args(argv)
    try:
        parted = parts(load_recipe(given.recipe, given.overrides))
    except AssayError as error:
        print(f"finetune: {error}", file=sys.stderr)
        return 2
    rows = list(published(parted.train if given.side == "train" else parted.eval))
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_bytes(gzip.compress(text, mtime=0) if given.out.suffix == ".gz" else text)
    print(f"{len(rows)} rows in {given.out}")
    return 0


def parts(recipe: AnyRecipe) -> Parted:
    """The rows on each side, as training parts them. Raises: InvalidInput for a kind whose rows no command measures."""
    for kind, build in PARTS.items():
        if isinstance(recipe, kind):
            return build(recipe)
    raise InvalidInput(
        f"{recipe.name} is of the kind {recipe.kind!r}; rows are written for reader, grounding and classifier.",
        field="recipe",
    )


def published(rows: Sequence[BuiltRow]) -> Iterator[dict[str, Any]]:
    """Rows in the fields of SQuAD, or with premise, hypothesis and label, or text and label; rows with guessed labels are left out."""
    for row in (row for row in rows if not row.is_weak):
        fields = row.fields
        if "question" in fields:
            yield {
                "title": row.groups[0].removeprefix("article:"),
                "question": fields["question"],
                "context": fields["context"],
                "answers": [{"text": text} for text in fields["answers"]],
                "is_impossible": not fields["answers"],
            }
        elif "premise" in fields:
            yield {name: fields[name] for name in ("premise", "hypothesis", "label")} | {"source": row.source}
        else:
            yield {"text": fields["text"], "label": fields["label"], "group": row.source}


PARTS: Mapping[type, Callable[[Any], Parted]] = {
    ReaderRecipe: lambda recipe: parted_rows(recipe, reader_rows.FORMATS),
    GroundingRecipe: lambda recipe: parted_rows(recipe, grounding_rows.FORMATS),
    ClassifierRecipe: labelled_rows,
}

if __name__ == "__main__":
    sys.exit(main())
