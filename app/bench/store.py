"""A throw-away store filled through the product's own ingest, kept between benchmarks by the hash of its passages."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.settings import load_settings
from app.wiring import open_assay
from retrieval.embedding import Vectors
from retrieval.ingest import Destination, ReadSource
from serving.local.encoder import GRAPH_VERSION

if TYPE_CHECKING:
    from app.assay import Assay

COMPLETE = "complete"


@contextmanager
def filled(folder: Path, texts: Sequence[str]) -> Iterator["Assay"]:
    """An opened `Assay` over `texts`, one document each, in `folder`; filled once, reused afterwards."""
    home = folder / f"store-{hashlib.sha256(chr(0).join((str(GRAPH_VERSION), *texts)).encode()).hexdigest()[:12]}"
    if not (home / COMPLETE).exists():
        shutil.rmtree(home, ignore_errors=True)
    assay = open_assay(load_settings(home=home))
    try:
        if not (home / COMPLETE).exists():
            fill(assay, texts)
            (home / COMPLETE).touch()
        yield assay
    finally:
        assay.close()


def fill(assay: "Assay", texts: Sequence[str]) -> None:
    """Chunk, embed, commit and index `texts`, as `assay ingest` does once a file is read."""
    for _ in assay.stores.ingester.run(
        (source(n, text) for n, text in enumerate(texts)), Destination("default", "bench")
    ):
        pass
    assay.settle()


def source(n: int, text: str) -> ReadSource:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ReadSource(f"bench://{n}", f"Passage {n}", text, digest, len(text), "text/plain", frozenset({"everyone"}))


def stored_chunks(assay: "Assay") -> tuple[list[str], Vectors]:
    """Texts of all chunks and their vectors, float32 [n, dim], in the same order."""
    spec, feed = assay.embedder, assay.catalog.feed
    covered, texts, blobs = 0, [], []
    while (changes := feed.changes_since(covered, spec.id)).generation > covered:
        covered = changes.generation
        texts += [chunk.text for chunk in changes.chunks]
        blobs += [chunk.vector for chunk in changes.chunks]
    return texts, np.frombuffer(b"".join(blobs), np.float16).reshape(-1, spec.dim).astype(np.float32)
