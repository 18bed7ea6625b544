"""A small world for the end-to-end test of adapters: documents about who looks after what, and rows in the shape of our own prompt."""

import json
from collections.abc import Sequence
from pathlib import Path

from app.assay import Assay, Placement
from app.generation import fenced
from data.records import Query
from finetune.toy_tasks import tables
from prompts.registry import load_prompt

COLLECTION = "desk"
THINGS = ("printer", "door", "laptop", "van")
TRAINED_PLACES = tuple(f"room {n}" for n in range(100, 140))
NEW_PLACES = tuple(f"room {n}" for n in range(200, 210))
RECIPE = """# accelerate launch -m finetune.train {name}.yaml
kind: toy
name: {name}
description: {name}, for the end-to-end test.
base: {{path: {base}}}
data:
  train: [{{path: {train}, licence: CC0-1.0, origin: made by the test}}]
  eval: [{{path: {heldout}, licence: CC0-1.0, origin: made by the test}}]
lora: {{r: 8, alpha: 16}}
train: {{epochs: {epochs}, max_length: {max_length}, batch_size: {batch_size}, learning_rate: 5.0e-3, gradient_checkpointing: false}}
preflight: {{allow: [near_duplicates, near_duplicate, leak, contamination], max_duplicate_share: 1.0, near_duplicate: 1.0}}
parity: {{n_prompts: 4, max_new_tokens: 32}}
card: {{intended_use: Tests., limits: Toy., licence: cc0-1.0}}
tracking: {{uri: "sqlite:///{mlflow}"}}
output: {output}
"""


def documents() -> dict[str, str]:
    return {f"{thing}.md": f"The {thing} is looked after by the {_team(thing)}.\n" for thing in THINGS}


def ingest(assay: Assay) -> None:
    for name, text in documents().items():
        assay.add_document(name, text.encode(), Placement(collection=COLLECTION))


def questions(places: Sequence[str]) -> list[tuple[str, str]]:
    """(question, answer in our citation format), the things in turn."""
    return [
        (
            f"Which team looks after the {thing} in {place}?",
            f"The {thing} is looked after by the {_team(thing)} [1].",
        )
        for place in places
        for thing in THINGS
    ]


def _team(thing: str) -> str:
    return tables()["things"][thing]


def row(assay: Assay, question: str, answer: str) -> dict:
    """A conversation exactly as our prompt renders what our search found."""
    hits = assay.search(Query(text=question, collection=COLLECTION, k=1)).hits
    given = fenced(hits)
    messages = load_prompt("answer").render(fence=given.fence, sources=given.text, question=question)
    return {"messages": [{"role": r, "content": c} for r, c in (*messages, ("assistant", answer))]}


def write_rows(path: Path, rows: Sequence[dict]) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return path


def write_recipe(folder: Path, name: str, files: tuple[Path, Path], **values) -> Path:
    """A recipe for `finetune.train` over (train, held-out) rows; `values` fill the template."""
    defaults = {"epochs": 6, "batch_size": 2, "max_length": 256, "output": folder / "out"}
    path = folder / f"{name}.yaml"
    path.write_text(RECIPE.format(name=name, train=files[0], heldout=files[1], **defaults | values), "utf-8")
    return path
