"""Real passages and questions for benchmarks, read from a folder of public data sets outside the project."""

import gzip
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from data.errors import NotFound


def passages(data: Path, n: int) -> list[str]:
    """Return `n` distinct passages: SQuAD paragraphs first, then sentences, abstracts and medical answers."""
    found = dict.fromkeys(text for text in _passages(data) if text)
    if len(found) < n:
        raise NotFound(f"{data} holds {len(found)} passages; {n} are needed.")
    return list(islice(found, n))


def questions(data: Path, n: int) -> list[str]:
    """Return `n` distinct questions about those passages."""
    rows = _rows(data / "qa_squad_dev" / "v1.1.jsonl.gz")
    return list(islice(dict.fromkeys(row["question"].strip() for row in rows), n))


def _passages(data: Path) -> Iterator[str]:
    for name in ("v1.1", "v2.0"):
        yield from (row["context"] for row in _rows(data / "qa_squad_dev" / f"{name}.jsonl.gz"))
    for folder in ("retrieval_squad_sentences", "retrieval_cisi"):
        yield from (f"{r.get('title', '')}\n\n{r['text']}".strip() for r in _rows(data / folder / "corpus.jsonl.gz"))
    yield from (str(row["answer"])[:1200] for row in _rows(data / "qa_medquad" / "medquad.jsonl.gz"))


def _rows(path: Path) -> Iterator[dict]:
    if not path.exists():
        raise NotFound(
            f"{path} is not there.",
            next_step="Give the folder of the data sets: python -m app.bench --data FOLDER",
        )
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
