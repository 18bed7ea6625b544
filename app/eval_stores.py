"""Stores of their own for evaluations, below var/eval, filled through the product's ingest and kept for the next run.

Named by the hash of what they hold and how it was cut and embedded. Never touches the user's documents: each is SQLite in its
own folder.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue, SecretStr

from app.sample import COLLECTION, ingest_sample
from app.settings import ROOT, Settings
from app.wiring import open_assay
from evals.json_lines import read_rows

if TYPE_CHECKING:
    from app.assay import Assay

COMPLETE = "complete"
SAMPLE = ROOT / "data" / "samples"


@contextmanager
def filled_store(settings: Settings, name: str, fill: Callable[["Assay"], None]) -> Iterator["Assay"]:
    """An opened `Assay` in var/eval/`name`, which `fill` filled once. Interrupted, the next call fills on."""
    home = settings.var / "eval" / name
    store = settings.model_copy(update={"home": home, "database_url": SecretStr("")})
    store.var.mkdir(parents=True, exist_ok=True)
    _share_models(settings, store)
    assay = open_assay(store)
    try:
        if not (home / COMPLETE).exists():
            fill(assay)
            (home / COMPLETE).touch()
        yield assay
    finally:
        assay.close()


@contextmanager
def sample_store(settings: Settings, plant: Path | None = None) -> Iterator["Assay"]:
    """The sample corpus with its groups and metadata, and the documents of the file `plant` beside it."""
    held = {str(p.relative_to(SAMPLE)): _sha256(p.read_bytes()) for p in sorted(SAMPLE.rglob("*")) if p.is_file()}
    held.pop("questions.jsonl", None)
    planted = list(read_rows(plant, ("name", "text"))) if plant else []
    held |= {f"planted/{n}": _sha256(json.dumps(row).encode()) for n, row in enumerate(planted)}

    def fill(assay: "Assay") -> None:
        from app.assay import Placement

        ingest_sample(assay, SAMPLE)
        for row in planted:
            placement = Placement(collection=COLLECTION, groups=frozenset(row.get("groups", ())))
            assay.add_document(row["name"], row["text"].encode(), placement)

    with filled_store(settings, f"sample-{fingerprint(held, settings)}", fill) as assay:
        yield assay


def fingerprint(held: JsonValue, settings: Settings) -> str:
    """Of documents, and of the settings that cut and embed them."""
    made = [settings.ingest.chunking.model_dump(), settings.encoder.model_dump(exclude={"threads"})]
    return _sha256(json.dumps([held, made]).encode("utf-8", "surrogatepass"))[:16]


def drop_stores_with(text_sha256: str, var: Path) -> list[Path]:
    """Remove the stores that hold a document of this text, for an erasure. They are filled anew when they are needed."""
    holders = [path.parent.parent for path in (var / "eval").glob("*/var/assay.db") if _holds(path, text_sha256)]
    for home in holders:
        shutil.rmtree(home)
    return holders


def _holds(database: Path, text_sha256: str) -> bool:
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            found = connection.execute("select 1 from contents where sha256 = ? limit 1", (text_sha256,))
            return found.fetchone() is not None
        except sqlite3.Error:
            return True  # a store that cannot be read proves nothing


def _share_models(settings: Settings, store: Settings) -> None:
    """Let all stores use the encoder's graphs that were built once."""
    (settings.var / "models").mkdir(parents=True, exist_ok=True)
    if not (store.var / "models").exists():
        (store.var / "models").symlink_to((settings.var / "models").resolve(), target_is_directory=True)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
