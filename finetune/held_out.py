"""python -m finetune.held_out RECIPE.yaml OUT.jsonl.gz [--side train] [key=value ...]

Write the rows that a recipe holds out (or trains on), in the fields that `assay eval reader|grounding|toxicity|injection` reads; of a
reranker a folder OUT that `assay eval rerank` reads. The split is by a hash, so these are the rows that the adapter never saw. Loads
no weights.
"""

import argparse
import gzip
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.errors import AssayError, InvalidInput
from finetune.encoder_recipes import ClassifierRecipe, GroundingRecipe, ReaderRecipe, RerankerRecipe
from finetune.encoders import pair_rows, reader_rows, squad_pairs
from finetune.encoders.built_rows import BuiltRow, Parted, parted_rows
from finetune.encoders.label_rows import labelled_rows
from finetune.recipe import AnyRecipe, load_recipe

SIGNS = re.compile(r"\W+")


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
    rows = parted.train if given.side == "train" else parted.eval
    if any("query" in row.fields for row in rows):
        print(f"{write_collection(rows, [*parted.train, *parted.eval], given.out)} questions in {given.out}")
        return 0
    found = list(published(rows))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    _write(given.out, found)
    print(f"{len(found)} rows in {given.out}")
    return 0


def parts(recipe: AnyRecipe) -> Parted:
    """The rows on each side, as training parts them. Raises: InvalidInput for a kind whose rows no command measures."""
    for kind, build in PARTS.items():
        if isinstance(recipe, kind):
            return build(recipe)
    raise InvalidInput(
        f"{recipe.name} is of the kind {recipe.kind!r}; rows are written for reader, reranker, grounding and classifier.",
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


def write_collection(asked: Sequence[BuiltRow], told: Sequence[BuiltRow], folder: Path) -> int:
    """The questions of `asked` over all texts of `told`, in BEIR layout; texts that differ in spacing and signs alone are one."""
    ids: dict[str, str] = {}
    texts: dict[str, str] = {}
    for row in told:
        for text in (row.fields["positive"], *row.fields["negatives"]):
            identity = ids.setdefault(SIGNS.sub("", text.casefold()), f"t{len(ids)}")
            texts.setdefault(identity, text)
    right: dict[str, set[str]] = {}
    for row in asked:
        right.setdefault(row.fields["query"], set()).add(ids[SIGNS.sub("", row.fields["positive"].casefold())])
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "corpus.jsonl.gz", [{"_id": i, "title": "", "text": text} for i, text in texts.items()])
    _write(folder / "queries.jsonl.gz", [{"_id": f"q{n}", "text": text} for n, text in enumerate(right)])
    lines = [f"q{n}\t{i}\t1\n" for n, found in enumerate(right.values()) for i in sorted(found)]
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines), "utf-8")
    return len(right)


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


PARTS: Mapping[type, Callable[[Any], Parted]] = {
    ReaderRecipe: lambda recipe: parted_rows(recipe, reader_rows.FORMATS),
    RerankerRecipe: lambda recipe: parted_rows(recipe, pair_rows.FORMATS),
    GroundingRecipe: lambda recipe: parted_rows(recipe, squad_pairs.GROUNDING_FORMATS),
    ClassifierRecipe: labelled_rows,
}

if __name__ == "__main__":
    sys.exit(main())
