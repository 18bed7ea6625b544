"""Read -> chunk -> embed -> commit. A document is acknowledged when its transaction has committed, never before.

Documents are committed in batches, so that the encoder sees many chunks at once and the disk few flushes. Interrupt it
anywhere and run it again: what was committed is recognised by its content hash and skipped.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from data.errors import InfrastructureError, RefusedDocument
from data.records import Groups, Scalar
from retrieval.catalog import Catalog, NewDocument, document_id, sha256
from retrieval.chunking import split
from retrieval.config import IngestConfig
from retrieval.embedding import Embedder

Status = Literal["added", "updated", "unchanged", "removed", "refused"]


@dataclass(frozen=True)
class ReadSource:
    """A source after reading: `text` is its canonical text."""

    uri: str
    title: str
    text: str
    file_sha256: str
    size_bytes: int
    media_type: str
    groups: Groups
    metadata: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class IngestEvent:
    """One acknowledged outcome. `generation` is the database generation that holds it (0: nothing was written)."""

    status: Status
    uri: str
    document_id: str = ""
    n_chunks: int = 0
    generation: int = 0
    reason: str = ""
    message: str = ""
    next_step: str = ""

    @staticmethod
    def refused(uri: str, error: RefusedDocument) -> "IngestEvent":
        return IngestEvent("refused", uri, reason=error.reason, message=error.message, next_step=error.next_step)


@dataclass(frozen=True)
class Destination:
    tenant: str
    collection: str


class Ingester:
    """`embedder` returns the active embedder; it is asked again for every batch, since it may be changed meanwhile."""

    def __init__(self, catalog: Catalog, embedder: Callable[[], Embedder], config: IngestConfig) -> None:
        self.catalog = catalog
        self.embedder = embedder
        self.config = config

    def run(self, sources: Iterable[ReadSource | IngestEvent], to: Destination) -> Iterator[IngestEvent]:
        """Store `sources`; yields one event per source once it is durable. Events passed in are passed on."""
        waiting: list[NewDocument] = []
        embedder = self.embedder()
        n_chunks, since = 0, time.monotonic()
        for source in sources:
            if isinstance(source, IngestEvent):
                yield source
            else:
                waiting.append(self._chunked(source, to, embedder))
                n_chunks += len(waiting[-1].pieces)
            late = time.monotonic() - since > self.config.batch_s
            if waiting and (
                n_chunks >= self.config.batch_chunks or len(waiting) >= self.config.batch_documents or late
            ):
                yield from self._commit(waiting, embedder)
                embedder = self.embedder()
                waiting, n_chunks, since = [], 0, time.monotonic()
        if waiting:
            yield from self._commit(waiting, embedder)

    def is_unchanged(
        self, to: Destination, uri: str, file_sha256: str, groups: Groups, metadata: dict[str, Scalar]
    ) -> bool:
        """Whether the very same file with the same rights and given metadata is stored already."""
        stored = self.catalog.fingerprint(to.tenant, to.collection, uri)
        if stored is None:
            return False
        digest, stored_groups, stored_metadata = stored
        return digest == file_sha256 and stored_groups == groups and metadata.items() <= stored_metadata.items()

    def remove(self, identities: dict[str, str]) -> Iterator[IngestEvent]:
        """Remove documents, given as uri -> id, in one transaction."""
        if not identities:
            return
        with self.catalog.database.write() as write:
            self.catalog.remove(write, list(identities.values()))
        for uri, identity in identities.items():
            yield IngestEvent("removed", uri, identity, generation=write.generation)

    def _chunked(self, source: ReadSource, to: Destination, embedder: Embedder) -> NewDocument:
        return NewDocument(
            uri=source.uri,
            title=source.title,
            text=source.text,
            file_sha256=source.file_sha256,
            size_bytes=source.size_bytes,
            media_type=source.media_type,
            tenant=to.tenant,
            collection=to.collection,
            groups=source.groups,
            pieces=split(source.text, embedder.token_spans, self.config.chunking),
            metadata=source.metadata,
        )

    def _commit(self, batch: list[NewDocument], embedder: Embedder) -> list[IngestEvent]:
        known = self.catalog.known_texts(list({new.sha256 for new in batch}), batch[0].tenant)
        blobs = self._embedded([new for new in batch if new.sha256 not in known], embedder)
        try:
            return self._stored(batch, embedder, blobs)
        except KeyError:  # a known text was removed meanwhile
            return self._stored(batch, embedder, self._embedded(batch, embedder))

    def _stored(self, batch: list[NewDocument], embedder: Embedder, blobs: dict[str, bytes]) -> list[IngestEvent]:
        with self.catalog.database.write() as write:
            if self.embedder().id != embedder.id:
                raise InfrastructureError(
                    "The embedding model was changed during this ingest.",
                    next_step="Run the same command again.",
                )
            statuses = [self.catalog.put(write, new, embedder.id, blobs) for new in batch]
        return [
            IngestEvent(
                status,
                new.uri,
                document_id(new.tenant, new.collection, new.uri),
                n_chunks=len(new.pieces),
                generation=write.generation,
            )
            for new, status in zip(batch, statuses, strict=True)
        ]

    def _embedded(self, batch: list[NewDocument], embedder: Embedder) -> dict[str, bytes]:
        texts = {sha256(text): text for new in batch for text in new.embedding_texts()}
        blobs = self.catalog.known_vectors(list(texts), embedder.id, batch[0].tenant) if batch else {}
        missing = [digest for digest in texts if digest not in blobs]
        if not missing:
            return blobs
        vectors = embedder.embed([texts[d] for d in missing]).astype(np.float16)
        return blobs | {d: v.tobytes() for d, v in zip(missing, vectors, strict=True)}


def embed_missing(catalog: Catalog, embedder: Embedder, *, batch: int = 256) -> Iterator[int]:
    """Give every chunk a vector of `embedder` that lacks one; yields the number done so far. Resumable."""
    done = 0
    while rows := catalog.feed.without_vector(embedder.id, batch):
        vectors = embedder.embed([text for _, text in rows]).astype(np.float16)
        catalog.feed.add_vectors(embedder.id, {i: v.tobytes() for (i, _), v in zip(rows, vectors, strict=True)})
        done += len(rows)
        yield done
