"""Canonical texts with their chunks and vectors in the database: each stored once in a tenant, cut anew, let go.

Knows nothing of sources, rights or indexes. Everything here runs inside a transaction that its caller holds.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, select, update

from data.database import Write
from data.tables import chunks, contents, documents, tombstones, vectors
from retrieval.chunking import Piece, embedding_text

# Statements of the ingest's inner loop: building one costs several times what running it does.
_STORED = select(contents.c.id, contents.c.chunking).where(
    contents.c.tenant == bindparam("tenant"), contents.c.sha256 == bindparam("sha256")
)
_CHUNKS_OF = select(chunks.c.id).where(chunks.c.content_id == bindparam("content")).order_by(chunks.c.ordinal)
_ADD_CONTENT, _ADD_CHUNKS, _ADD_VECTORS = map(insert, (contents, chunks, vectors))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class CutText:
    """A canonical text and the pieces it was cut into; `chunking` names the settings that cut it."""

    tenant: str
    text: str
    title: str
    """Of the source that brought it: it is embedded with each piece."""
    pieces: Sequence[Piece]
    chunking: str

    @property
    def sha256(self) -> str:
        return sha256(self.text)

    def embedding_texts(self) -> list[str]:
        return [embedding_text(self.title, p.heading_path, self.text[p.start : p.end]) for p in self.pieces]


@dataclass(frozen=True)
class StoredText:
    id: int
    tenant: str
    text: str
    title: str


def put_text(write: Write, cut: CutText, embedder: str, blobs: dict[str, bytes]) -> int:
    """Store a text unless it is there, cut by the same settings; returns its id. `blobs` maps text hash to vector.

    Raises: KeyError when it has to be cut and a vector is not in `blobs`.
    """
    c = write.connection
    stored = c.execute(_STORED, {"tenant": cut.tenant, "sha256": cut.sha256}).one_or_none()
    if stored is None:
        row = {"tenant": cut.tenant, "sha256": cut.sha256, "text": cut.text}
        row |= {"chunking": cut.chunking, "generation": write.generation}
        identity = c.execute(_ADD_CONTENT, row).inserted_primary_key[0]
        _add_chunks(c, identity, cut, embedder, blobs)
        return identity
    if stored.chunking != cut.chunking:
        _drop_chunks(c, stored.id)
        _add_chunks(c, stored.id, cut, embedder, blobs)
    # stamped in any case: its scopes may change, so the indexes look again
    changed = {"generation": write.generation, "chunking": cut.chunking}
    c.execute(update(contents).where(contents.c.id == stored.id).values(changed))
    return stored.id


def recut(write: Write, identity: int, cut: CutText, embedder: str, blobs: dict[str, bytes]) -> None:
    """Put new chunks in place of a stored text's old ones; nothing where the text left meanwhile."""
    if write.connection.execute(select(contents.c.id).where(contents.c.id == identity)).first() is not None:
        put_text(write, cut, embedder, blobs)


def release(write: Write, identities: Sequence[int]) -> None:
    """Let go of texts that a source held: those that no source holds any more leave with chunks and vectors."""
    c = write.connection
    for identity in dict.fromkeys(identities):
        if c.execute(select(exists().where(documents.c.content_id == identity))).scalar():
            c.execute(update(contents).where(contents.c.id == identity).values(generation=write.generation))
            continue
        _drop_chunks(c, identity)
        c.execute(delete(contents).where(contents.c.id == identity))
        c.execute(insert(tombstones).values(content_id=identity, generation=write.generation))


def n_cut_otherwise(c: Connection, chunking: str) -> int:
    """How many texts were cut by other settings than these."""
    return c.execute(select(func.count()).select_from(contents).where(contents.c.chunking != chunking)).scalar_one()


def cut_otherwise(c: Connection, chunking: str, limit: int) -> list[StoredText]:
    """Up to `limit` texts that were cut by other settings than these."""
    title = (
        select(documents.c.title)
        .where(documents.c.content_id == contents.c.id)
        .order_by(documents.c.ingested_at, documents.c.id)
        .limit(1)
        .scalar_subquery()
    )
    rows = c.execute(
        select(contents.c.id, contents.c.tenant, contents.c.text, title.label("title"))
        .where(contents.c.chunking != chunking)
        .order_by(contents.c.id)
        .limit(limit)
    )
    return [StoredText(r.id, r.tenant, r.text, r.title or "") for r in rows]


def _add_chunks(c: Connection, identity: int, cut: CutText, embedder: str, blobs: dict[str, bytes]) -> None:
    hashes = [sha256(text) for text in cut.embedding_texts()]
    if not hashes:
        return
    rows = [
        {
            "content_id": identity,
            "ordinal": n,
            "start": p.start,
            "end": p.end,
            "heading_path": list(p.heading_path),
            "text": cut.text[p.start : p.end],
            "text_sha256": digest,
        }
        for n, (p, digest) in enumerate(zip(cut.pieces, hashes, strict=True))
    ]
    c.execute(_ADD_CHUNKS, rows)
    ids = c.execute(_CHUNKS_OF, {"content": identity}).scalars()
    pairs = zip(ids, hashes, strict=True)
    c.execute(_ADD_VECTORS, [{"chunk_id": i, "embedder": embedder, "vector": blobs[d]} for i, d in pairs])


def _drop_chunks(c: Connection, identity: int) -> None:
    held = select(chunks.c.id).where(chunks.c.content_id == identity)
    c.execute(delete(vectors).where(vectors.c.chunk_id.in_(held)))
    c.execute(delete(chunks).where(chunks.c.content_id == identity))
