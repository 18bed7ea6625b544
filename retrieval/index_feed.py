"""What indexes follow: chunks with their vectors, and what changed after a generation. Knows nothing of principals."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, and_, exists, func, insert, select

from data.database import Database
from data.tables import chunks, contents, documents, tombstones, vectors
from retrieval.chunking import embedding_text

CHANGES_AT_ONCE = 5000


@dataclass(frozen=True)
class IndexedChunk:
    """A chunk as indexes need it."""

    id: int
    content_id: int
    scopes: tuple[int, ...]
    heading: str
    text: str
    vector: bytes | None
    """float16; None while a newly chosen embedder has not reached this chunk."""


@dataclass(frozen=True)
class Rows:
    """Parallel arrays: row i is chunk `chunk_ids[i]` of content `content_ids[i]`."""

    chunk_ids: NDArray[np.int64]
    content_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.chunk_ids)


@dataclass(frozen=True)
class Changes:
    """What happened after one generation, up to and including `generation`."""

    generation: int
    removed: tuple[int, ...]
    chunks: tuple[IndexedChunk, ...]

    @property
    def touched(self) -> set[int]:
        return set(self.removed) | {c.content_id for c in self.chunks}


class IndexFeed:
    def __init__(self, database: Database) -> None:
        self.database = database

    def n_chunks(self) -> int:
        with self.database.read() as c:
            return c.execute(select(func.count()).select_from(chunks)).scalar_one()

    def n_vectors(self, embedder: str) -> int:
        with self.database.read() as c:
            return c.execute(
                select(func.count()).select_from(vectors).where(vectors.c.embedder == embedder)
            ).scalar_one()

    def chunk_ids(self) -> set[int]:
        with self.database.read() as c:
            return set(c.execute(select(chunks.c.id)).scalars())

    def without_vector(self, embedder: str, limit: int) -> list[tuple[int, str]]:
        """Return up to `limit` (chunk id, text to embed) that have no vector of this embedder."""
        has = exists().where(vectors.c.chunk_id == chunks.c.id, vectors.c.embedder == embedder)
        title = (
            select(documents.c.title)
            .where(documents.c.content_id == chunks.c.content_id)
            .order_by(documents.c.ingested_at, documents.c.id)
            .limit(1)
            .scalar_subquery()
        )
        with self.database.read() as c:
            rows = c.execute(
                select(chunks.c.id, chunks.c.heading_path, chunks.c.text, title.label("title"))
                .where(~has)
                .order_by(chunks.c.id)
                .limit(limit)
            ).all()
        return [(r.id, embedding_text(r.title or "", tuple(r.heading_path), r.text)) for r in rows]

    def add_vectors(self, embedder: str, blobs: dict[int, bytes]) -> None:
        """Add vectors beside those of other embedders; skips chunks that left meanwhile or have theirs."""
        with self.database.append() as c:
            has = exists().where(vectors.c.chunk_id == chunks.c.id, vectors.c.embedder == embedder)
            present = c.execute(select(chunks.c.id).where(chunks.c.id.in_(list(blobs)), ~has)).scalars().all()
            rows = [{"chunk_id": i, "embedder": embedder, "vector": blobs[i]} for i in present]
            if rows:
                c.execute(insert(vectors), rows)

    def matrix(self, embedder: str, dim: int) -> tuple[int, Rows, NDArray[np.float16]]:
        """Return (generation, rows, float16 [n, dim]): every vector of one embedder, ordered by chunk id."""
        with self.database.read() as c:
            newest = self.database.generation_in(c)
            n = c.execute(select(func.count()).select_from(vectors).where(vectors.c.embedder == embedder)).scalar_one()
            rows = Rows(np.empty(n, np.int64), np.empty(n, np.int64))
            matrix = np.empty((n, dim), np.float16)
            found = c.execution_options(yield_per=4096).execute(
                select(chunks.c.id, chunks.c.content_id, vectors.c.vector)
                .join(vectors, vectors.c.chunk_id == chunks.c.id)
                .where(vectors.c.embedder == embedder)
                .order_by(chunks.c.id)
            )
            at = 0
            for row in found:
                rows.chunk_ids[at], rows.content_ids[at] = row.id, row.content_id
                matrix[at] = np.frombuffer(row.vector, np.float16)
                at += 1
        return newest, Rows(rows.chunk_ids[:at], rows.content_ids[:at]), matrix[:at]

    def changes_since(self, generation: int, embedder: str, *, until: int | None = None) -> Changes:
        """What an index that covers `generation` lacks, oldest first: at most some `CHANGES_AT_ONCE` contents a call.

        A follower passes `until`, the newest generation it may see. Call again until the generation stops moving.
        """
        with self.database.read() as c:
            newest = self.database.generation_in(c) if until is None else until
            if newest <= generation:
                return Changes(generation, (), ())
            step = c.execute(
                select(contents.c.generation)
                .where(contents.c.generation > generation)
                .order_by(contents.c.generation)
                .offset(CHANGES_AT_ONCE)
                .limit(1)
            ).scalar_one_or_none()
            newest = min(newest, step or newest)
            removed = c.execute(
                select(tombstones.c.content_id).where(
                    tombstones.c.generation > generation, tombstones.c.generation <= newest
                )
            ).scalars()
            window = and_(contents.c.generation > generation, contents.c.generation <= newest)
            return Changes(newest, tuple(removed), tuple(self._indexed(c, window, embedder)))

    def _indexed(self, c: Connection, window: Any, embedder: str) -> Iterator[IndexedChunk]:
        held = c.execute(
            select(documents.c.content_id, documents.c.scope_id, documents.c.title)
            .join(contents, contents.c.id == documents.c.content_id)
            .where(window)
            .order_by(documents.c.ingested_at, documents.c.id)
        )
        seen_in: dict[int, set[int]] = {}
        titles: dict[int, str] = {}
        for content_id, scope_id, title in held:
            seen_in.setdefault(content_id, set()).add(scope_id)
            titles.setdefault(content_id, title)
        rows = c.execute(
            select(chunks.c.id, chunks.c.content_id, chunks.c.heading_path, chunks.c.text, vectors.c.vector)
            .join(contents, contents.c.id == chunks.c.content_id)
            .outerjoin(vectors, and_(vectors.c.chunk_id == chunks.c.id, vectors.c.embedder == embedder))
            .where(window)
            .order_by(chunks.c.id)
        )
        for row in rows:
            heading = " > ".join(dict.fromkeys((titles.get(row.content_id, ""), *row.heading_path))).strip(" >")
            found = tuple(sorted(seen_in.get(row.content_id, ())))
            yield IndexedChunk(row.id, row.content_id, found, heading, row.text, row.vector)
