"""The chunks that questions may be answered from, as vectors; and whether the index still stands for its documents. Searches nothing."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from data.database import Database
from data.tables import chunks, documents, vectors
from evals.drift.features import CHUNK, Matrix
from evals.drift.requests import RequestFilter

VECTOR = "<f2"


@dataclass(frozen=True)
class Knowledge:
    """float32 [n, dim], unit length, one row per chunk; `ids` as hits name them."""

    ids: tuple[str, ...]
    vectors: Matrix

    def nearest(self, questions: Matrix) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Each question's cosine to its nearest chunk, and which that is; NaN and -1 without chunks."""
        similarity = np.full(len(questions), np.nan, np.float32)
        which = np.full(len(questions), -1)
        for at in range(0, len(questions) if len(self.ids) else 0, 512):
            part = slice(at, at + 512)
            for first in range(0, len(self.ids), CHUNK):
                scores = questions[part] @ self.vectors[first : first + CHUNK].T
                best = scores.argmax(axis=1)
                value = scores[np.arange(len(best)), best]
                better = ~(similarity[part] >= value)
                similarity[part] = np.where(better, value, similarity[part])
                which[part] = np.where(better, best + first, which[part])
        return similarity, which


@dataclass(frozen=True)
class IndexHealth:
    """Counts of chunks or documents, each with a few ids."""

    n_chunks: int
    n_documents: int
    n_stale: int
    """Documents older than allowed whose source has changed or is gone."""
    n_ghosts: int
    """Chunks that requests were shown and that are no more."""
    n_duplicates: int
    """Chunks whose text another one has too."""
    n_without_vector: int
    n_never_retrieved: int
    """Chunks that no logged request was shown."""
    examples: dict[str, tuple[str, ...]]

    def share(self, name: str) -> float:
        """`stale`, `ghosts`, `duplicates`, `without_vector` or `never_retrieved`, of all there are."""
        total = self.n_documents if name == "stale" else self.n_chunks
        return getattr(self, f"n_{name}") / total if total else 0.0


def load_knowledge(database: Database, embedder: str, wanted: RequestFilter = RequestFilter()) -> Knowledge:
    """The chunks of a tenant's collection that `embedder` embedded."""
    asked = (
        select(documents.c.id, chunks.c.ordinal, vectors.c.vector)
        .join(chunks, chunks.c.content_id == documents.c.content_id)
        .join(vectors, vectors.c.chunk_id == chunks.c.id)
        .where(vectors.c.embedder == embedder, *_of(wanted))
        .order_by(documents.c.id, chunks.c.ordinal)
    )
    with database.read() as connection:
        rows = connection.execution_options(yield_per=2000).execute(asked)
        found = [(f"{row.id}#{row.ordinal}", np.frombuffer(row.vector, VECTOR)) for row in rows]
    if not found:
        return Knowledge((), np.empty((0, 0), np.float32))
    return Knowledge(tuple(identity for identity, _ in found), np.stack([v for _, v in found]).astype(np.float32))


def index_health(
    database: Database,
    shown: Iterable[tuple[str, ...]],
    now: datetime,
    *,
    embedder: str,
    stale_days: float,
    wanted: RequestFilter = RequestFilter(),
    has_changed: Callable[[str, str], bool] = lambda uri, sha256: False,
) -> IndexHealth:
    """Look at every chunk once. `has_changed(uri, sha256)` says whether a document's source is no longer what was read."""
    with database.read() as connection:
        rows = connection.execute(_chunk_rows(wanted)).all()
        have = set(connection.execute(select(vectors.c.chunk_id).where(vectors.c.embedder == embedder)).scalars())
        old = _old_documents(connection, wanted, now - timedelta(days=stale_days))
        n_documents = connection.execute(select(func.count()).select_from(documents).where(*_of(wanted))).scalar_one()
    ids = {f"{row.document_id}#{row.ordinal}" for row in rows}
    seen = {identity for hits in shown for identity in hits}
    texts = Counter(row.text_sha256 for row in rows)
    once: set[str] = set()
    duplicates = []
    for row in rows:
        if texts[row.text_sha256] > 1 and row.text_sha256 in once:
            duplicates.append(f"{row.document_id}#{row.ordinal}")
        once.add(row.text_sha256)
    lists = {
        "stale": [uri for uri, sha256 in old if has_changed(uri, sha256)],
        "ghosts": sorted(seen - ids),
        "duplicates": duplicates,
        "without_vector": [f"{row.document_id}#{row.ordinal}" for row in rows if row.id not in have],
        "never_retrieved": sorted(ids - seen) if seen else [],
    }
    numbers = {f"n_{name}": len(found) for name, found in lists.items()}
    return IndexHealth(len(ids), n_documents, examples={k: tuple(v[:5]) for k, v in lists.items()}, **numbers)


def _chunk_rows(wanted: RequestFilter):
    return (
        select(chunks.c.id, chunks.c.ordinal, chunks.c.text_sha256, documents.c.id.label("document_id"))
        .join(documents, documents.c.content_id == chunks.c.content_id)
        .where(*_of(wanted))
        .order_by(documents.c.id, chunks.c.ordinal)
    )


def _old_documents(connection: Connection, wanted: RequestFilter, before: datetime) -> list[tuple[str, str]]:
    asked = select(documents.c.uri, documents.c.file_sha256).where(documents.c.ingested_at < before, *_of(wanted))
    return [(row.uri, row.file_sha256) for row in connection.execute(asked)]


def _of(wanted: RequestFilter) -> list:
    conditions = []
    if wanted.tenant:
        conditions.append(documents.c.tenant == wanted.tenant)
    if wanted.collection:
        conditions.append(documents.c.collection == wanted.collection)
    return conditions
