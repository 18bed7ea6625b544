"""Documents, chunks and vectors in the database: every read and write of them goes through `Catalog`.

Knows nothing of indexes; they follow the catalog through its `feed`. Every public read takes the principal.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select, update

from data.database import Database, Write
from data.errors import InvalidInput, NotFound
from data.records import (
    EVERYONE,
    Chunk,
    Document,
    Groups,
    Hit,
    Principal,
    Query,
    Scalar,
    SourceRef,
    StageScore,
)
from data.tables import chunks, contents, documents, scopes, vectors
from retrieval.access import Access, AccessResolver, allowed_scopes, among, given
from retrieval.contents import CutText, StoredText, cut_otherwise, n_cut_otherwise, put_text, release, sha256
from retrieval.index_feed import IndexFeed

ID_LENGTH = 16
SQL_BATCH = 500

# Statements of the ingest's and the search's inner loops: building one costs several times what running it does.
_DOCUMENT = select(documents.c.content_id, documents.c.version).where(documents.c.id == bindparam("id"))
_SCOPE = select(scopes.c.id).where(
    scopes.c.tenant == bindparam("tenant"),
    scopes.c.collection == bindparam("collection"),
    scopes.c.groups_key == bindparam("key"),
)
_FINGERPRINT = (
    select(documents.c.file_sha256, scopes.c.groups, documents.c.given, contents.c.chunking)
    .join(scopes, scopes.c.id == documents.c.scope_id)
    .join(contents, contents.c.id == documents.c.content_id)
    .where(documents.c.id == bindparam("id"))
)
_ADD_DOCUMENT = insert(documents)
FETCHED_LEAST = 16


@cache
def _chunks_among(n: int) -> Select:
    c = chunks.c
    return select(c.id, c.content_id, c.ordinal, c.start, c.end, c.heading_path, c.text).where(among(c.id, n))


@dataclass(frozen=True)
class NewDocument:
    """A source that was read and cut, ready to be stored; its tenant and title are those of `cut`."""

    uri: str
    cut: CutText
    file_sha256: str
    size_bytes: int
    media_type: str
    collection: str
    groups: Groups
    metadata: dict[str, Scalar] = field(default_factory=dict)
    given: dict[str, Scalar] = field(default_factory=dict)
    """The part of `metadata` that came with the request, not out of the file."""


@dataclass(frozen=True)
class Fingerprint:
    """What decides how a source is stored, and can be told without reading it: equal ones mean that nothing changed."""

    file_sha256: str
    groups: Groups
    given: dict[str, Scalar] | None
    """None for a document that an older version stored, which did not keep it."""
    chunking: str


@dataclass(frozen=True)
class DocumentSummary:
    id: str
    uri: str
    title: str
    tenant: str
    collection: str
    groups: Groups
    metadata: dict[str, Scalar]
    media_type: str
    size_bytes: int
    n_chunks: int
    version: int
    ingested_at: datetime


def document_id(tenant: str, collection: str, uri: str) -> str:
    """Stable: the same source always gets the same id, also after it was deleted and ingested again."""
    return "doc_" + hashlib.sha256("\x00".join((tenant, collection, uri)).encode()).hexdigest()[:ID_LENGTH]


class Catalog:
    id_of = staticmethod(document_id)

    def __init__(self, database: Database) -> None:
        self.database = database
        self.feed = IndexFeed(database)
        self._resolver = AccessResolver(database)

    # -- writing

    def fingerprint(self, tenant: str, collection: str, uri: str) -> Fingerprint | None:
        """The fingerprint of a stored source, or None where there is none."""
        with self.database.read() as connection:
            row = connection.execute(_FINGERPRINT, {"id": document_id(tenant, collection, uri)}).one_or_none()
        return Fingerprint(row.file_sha256, frozenset(row.groups), row.given, row.chunking) if row else None

    def known_vectors(self, text_hashes: Sequence[str], embedder: str, tenant: str) -> dict[str, bytes]:
        """Vectors already stored in this tenant, by the hash of what was embedded."""
        found: dict[str, bytes] = {}
        with self.database.read() as connection:
            for at in range(0, len(text_hashes), SQL_BATCH):
                rows = connection.execute(
                    select(chunks.c.text_sha256, vectors.c.vector)
                    .join(vectors, vectors.c.chunk_id == chunks.c.id)
                    .join(contents, contents.c.id == chunks.c.content_id)
                    .where(
                        contents.c.tenant == tenant,
                        vectors.c.embedder == embedder,
                        chunks.c.text_sha256.in_(text_hashes[at : at + SQL_BATCH]),
                    )
                )
                found.update((row.text_sha256, row.vector) for row in rows)
        return found

    def known_texts(self, text_hashes: Sequence[str], tenant: str, chunking: str) -> set[str]:
        """Those of the canonical texts, by hash, that are stored in this tenant already, cut by these settings."""
        with self.database.read() as connection:
            return {
                digest
                for at in range(0, len(text_hashes), SQL_BATCH)
                for digest in connection.execute(
                    select(contents.c.sha256).where(
                        contents.c.tenant == tenant,
                        contents.c.chunking == chunking,
                        contents.c.sha256.in_(text_hashes[at : at + SQL_BATCH]),
                    )
                ).scalars()
            }

    def put(self, write: Write, new: NewDocument, embedder: str, blobs: dict[str, bytes]) -> str:
        """Store one source inside an open write; returns `added` or `updated`. `blobs` maps text hash to vector.

        Raises: KeyError when a text is not stored yet and a vector of it is not in `blobs`.
        """
        c, tenant = write.connection, new.cut.tenant
        content_id = put_text(write, new.cut, embedder, blobs)
        scope_id = self._scope(c, tenant, new.collection, new.groups)
        identity = document_id(tenant, new.collection, new.uri)
        values = {
            "content_id": content_id,
            "scope_id": scope_id,
            "title": new.cut.title,
            "file_sha256": new.file_sha256,
            "size_bytes": new.size_bytes,
            "media_type": new.media_type,
            "metadata": dict(new.metadata),
            "given": dict(new.given),
            "ingested_at": datetime.now(UTC),
        }
        old = c.execute(_DOCUMENT, {"id": identity}).one_or_none()
        if old is None:
            row = {
                "id": identity,
                "uri": new.uri,
                "tenant": tenant,
                "collection": new.collection,
                "version": 1,
            }
            c.execute(_ADD_DOCUMENT, row | values)
            return "added"
        c.execute(update(documents).where(documents.c.id == identity).values(values | {"version": old.version + 1}))
        if old.content_id != content_id:
            release(write, [old.content_id])
        return "updated"

    def remove(self, write: Write, identities: Sequence[str]) -> None:
        """Take documents out, and their text, chunks and vectors unless another document holds the same text."""
        for at in range(0, len(identities), SQL_BATCH):
            batch = identities[at : at + SQL_BATCH]
            held = (
                write.connection.execute(select(documents.c.content_id).where(documents.c.id.in_(batch)))
                .scalars()
                .all()
            )
            write.connection.execute(delete(documents).where(documents.c.id.in_(batch)))
            release(write, held)

    def n_cut_otherwise(self, chunking: str) -> int:
        """How many texts were cut by other settings than these."""
        with self.database.read() as connection:
            return n_cut_otherwise(connection, chunking)

    def cut_otherwise(self, chunking: str, limit: int) -> list[StoredText]:
        """Up to `limit` texts that were cut by other settings than these."""
        with self.database.read() as connection:
            return cut_otherwise(connection, chunking, limit)

    def _scope(self, c: Connection, tenant: str, collection: str, groups: Groups) -> int:
        names = sorted(groups) or [EVERYONE]
        key = sha256("\x00".join(names))
        found = c.execute(_SCOPE, {"tenant": tenant, "collection": collection, "key": key}).scalar_one_or_none()
        if found is not None:
            return found
        row = {"tenant": tenant, "collection": collection, "groups": names, "groups_key": key}
        return c.execute(insert(scopes).values(row)).inserted_primary_key[0]

    def access(self, query: Query, generation: int) -> Access:
        """What `query` may see in the state of `generation`."""
        return self._resolver.resolve(query, generation)

    # -- reading

    def hits(
        self,
        ranked: Sequence[tuple[int, float]],
        access: Access,
        k: int,
        stages_of: Callable[[int], dict[str, StageScore]],
    ) -> list[Hit]:
        """Fetch the first `k` of `ranked` (chunk id, score) that still exist and that `access` admits."""
        out: list[Hit] = []
        size = max(FETCHED_LEAST, 2 ** (k - 1).bit_length())
        with self.database.read() as c:
            for at in range(0, len(ranked), size):
                batch = ranked[at : at + size]
                found, holders = self._found(c, [chunk for chunk, _ in batch], access, size)
                for chunk, score in batch:
                    if (row := found.get(chunk)) is not None and row.content_id in holders:
                        out.append(_hit(row, holders[row.content_id], score, stages_of(chunk)))
                    if len(out) == k:
                        return out
        return out

    def _found(
        self, c: Connection, chunk_ids: list[int], access: Access, size: int
    ) -> tuple[dict[int, Row], dict[int, list[Row]]]:
        """Rows of up to `size` chunks by id, and by content the documents that hold it and that `access` admits, newest first."""
        found = {row.id: row for row in c.execute(_chunks_among(size), given(chunk_ids, size))}
        holders: dict[int, list[Row]] = {}
        contents = list({row.content_id for row in found.values()})
        for row in c.execute(access.holders(size), given(contents, size)) if contents else ():
            holders.setdefault(row.content_id, []).append(row)
        return found, holders

    def document(self, identity: str, principal: Principal) -> Document:
        """Raises: NotFound, also when the principal may not see it: existence is not revealed."""
        with self.database.read() as c:
            row = c.execute(
                select(documents, contents.c.text, contents.c.sha256, scopes.c.groups)
                .join(contents, contents.c.id == documents.c.content_id)
                .join(scopes, scopes.c.id == documents.c.scope_id)
                .where(documents.c.id == identity, documents.c.tenant == principal.tenant)
            ).one_or_none()
        if row is None or principal.effective_groups.isdisjoint(row.groups):
            raise NotFound(f"There is no document {identity!r}.", next_step="List documents with: assay documents")
        return Document(
            id=row.id,
            uri=row.uri,
            title=row.title,
            text=row.text,
            sha256=row.sha256,
            tenant=row.tenant,
            collection=row.collection,
            groups=frozenset(row.groups),
            metadata=row.metadata,
            ingested_at=row.ingested_at,
            version=row.version,
        )

    def chunks_of(self, identity: str, principal: Principal) -> list[Chunk]:
        document = self.document(identity, principal)
        with self.database.read() as c:
            rows = c.execute(
                select(chunks)
                .join(documents, documents.c.content_id == chunks.c.content_id)
                .where(documents.c.id == identity)
                .order_by(chunks.c.ordinal)
            ).all()
        return [_chunk(row, document.id, document.version) for row in rows]

    def documents(
        self, principal: Principal, collection: str | None = None, cursor: str = "", limit: int = 50
    ) -> tuple[list[DocumentSummary], str]:
        """One page ordered by id, and the cursor of the next page ('' at the end)."""
        if not 1 <= limit <= 1000:
            raise InvalidInput(f"limit is {limit}; allowed are 1 to 1000.", field="limit")
        n_chunks = select(func.count()).where(chunks.c.content_id == documents.c.content_id).scalar_subquery()
        with self.database.read() as c:
            allowed, _ = allowed_scopes(c, principal, collection)
            rows = c.execute(
                select(documents, scopes.c.groups, n_chunks.label("n_chunks"))
                .join(scopes, scopes.c.id == documents.c.scope_id)
                .where(documents.c.scope_id.in_(allowed), documents.c.id > cursor)
                .order_by(documents.c.id)
                .limit(limit + 1)
            ).all()
        page = [_summary(r) for r in rows[:limit]]
        return page, page[-1].id if len(rows) > limit else ""

    def collections(self, principal: Principal) -> dict[str, int]:
        """Names of the collections the principal can see anything in, with their number of visible documents."""
        with self.database.read() as c:
            allowed, _ = allowed_scopes(c, principal, None)
            rows = c.execute(
                select(documents.c.collection, func.count())
                .where(documents.c.scope_id.in_(allowed))
                .group_by(documents.c.collection)
                .order_by(documents.c.collection)
            ).all()
        return {row[0]: row[1] for row in rows}

    def uris(self, tenant: str, collection: str, prefix: str) -> dict[str, str]:
        """Document id by uri, of stored sources whose uri starts with `prefix`."""
        with self.database.read() as c:
            rows = c.execute(
                select(documents.c.uri, documents.c.id).where(
                    documents.c.tenant == tenant,
                    documents.c.collection == collection,
                    documents.c.uri.startswith(prefix, autoescape=True),
                )
            ).all()
        return {row.uri: row.id for row in rows}


def _chunk(row: Row, identity: str, version: int) -> Chunk:
    return Chunk(
        id=f"{identity}#{row.ordinal}",
        document_id=identity,
        document_version=version,
        ordinal=row.ordinal,
        start=row.start,
        end=row.end,
        heading_path=tuple(row.heading_path),
        text=row.text,
    )


def _hit(row: Row, holders: list[Row], score: float, stages: dict[str, StageScore]) -> Hit:
    first = holders[0]
    refs = tuple(SourceRef(document_id=h.id, uri=h.uri, title=h.title, version=h.version) for h in holders)
    return Hit(
        chunk=_chunk(row, first.id, first.version),
        score=score,
        stages=stages,
        sources=refs,
        metadata=first.metadata,
    )


def _summary(row: Row) -> DocumentSummary:
    return DocumentSummary(
        id=row.id,
        uri=row.uri,
        title=row.title,
        tenant=row.tenant,
        collection=row.collection,
        groups=frozenset(row.groups),
        metadata=row.metadata,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        n_chunks=row.n_chunks,
        version=row.version,
        ingested_at=row.ingested_at,
    )
