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
from retrieval.catalog import Catalog, Fingerprint, NewDocument, document_id
from retrieval.chunking import split
from retrieval.config import IngestConfig
from retrieval.contents import CutText, recut, sha256
from retrieval.embedding import Embedder

Status = Literal["added", "updated", "unchanged", "removed", "refused"]
RECUT_AT_ONCE = 32
"""Texts that are cut anew in one transaction."""


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
    given: dict[str, Scalar] = field(default_factory=dict)
    """The part of `metadata` that came with the request, not out of the file."""


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
                n_chunks += len(waiting[-1].cut.pieces)
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
        self, to: Destination, uri: str, file_sha256: str, groups: Groups, given: dict[str, Scalar]
    ) -> bool:
        """Whether the very same file with the same rights and given metadata is stored already, cut by today's settings."""
        same = Fingerprint(file_sha256, groups, given, self.config.chunking.digest)
        return self.catalog.fingerprint(to.tenant, to.collection, uri) == same

    @property
    def n_cut_otherwise(self) -> int:
        return self.catalog.n_cut_otherwise(self.config.chunking.digest)

    def recut(self) -> Iterator[int]:
        """Cut stored texts anew that other settings cut; yields how many are done so far. Resumable.

        Documents keep their text and version; only chunks with new text are embedded.
        """
        done, chunking = 0, self.config.chunking.digest
        while stored := self.catalog.cut_otherwise(chunking, RECUT_AT_ONCE):
            embedder = self.embedder()
            cut = {text.id: self._cut(text.tenant, text.text, text.title, embedder) for text in stored}
            blobs: dict[str, bytes] = {}
            for tenant in {text.tenant for text in stored}:
                blobs |= self._embedded([c for c in cut.values() if c.tenant == tenant], embedder)
            with self.catalog.database.write() as write:
                self._check_still_active(embedder)
                for identity, text in cut.items():
                    recut(write, identity, text, embedder.id, blobs)
            done += len(stored)
            yield done

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
            cut=self._cut(to.tenant, source.text, source.title, embedder),
            file_sha256=source.file_sha256,
            size_bytes=source.size_bytes,
            media_type=source.media_type,
            collection=to.collection,
            groups=source.groups,
            metadata=source.metadata,
            given=source.given,
        )

    def _cut(self, tenant: str, text: str, title: str, embedder: Embedder) -> CutText:
        chunking = self.config.chunking
        return CutText(tenant, text, title, split(text, embedder.token_spans, chunking), chunking.digest)

    def _commit(self, batch: list[NewDocument], embedder: Embedder) -> list[IngestEvent]:
        cut = [new.cut for new in batch]
        known = self.catalog.known_texts(list({c.sha256 for c in cut}), cut[0].tenant, cut[0].chunking)
        blobs = self._embedded([c for c in cut if c.sha256 not in known], embedder)
        try:
            return self._stored(batch, embedder, blobs)
        except KeyError:  # a known text was removed meanwhile
            return self._stored(batch, embedder, self._embedded(cut, embedder))

    def _stored(self, batch: list[NewDocument], embedder: Embedder, blobs: dict[str, bytes]) -> list[IngestEvent]:
        with self.catalog.database.write() as write:
            self._check_still_active(embedder)
            statuses = [self.catalog.put(write, new, embedder.id, blobs) for new in batch]
        return [
            IngestEvent(
                status,
                new.uri,
                document_id(new.cut.tenant, new.collection, new.uri),
                n_chunks=len(new.cut.pieces),
                generation=write.generation,
            )
            for new, status in zip(batch, statuses, strict=True)
        ]

    def _check_still_active(self, embedder: Embedder) -> None:
        if self.embedder().id != embedder.id:
            raise InfrastructureError(
                "The embedding model was changed during this ingest.",
                next_step="Run the same command again.",
            )

    def _embedded(self, batch: list[CutText], embedder: Embedder) -> dict[str, bytes]:
        texts = {sha256(text): text for cut in batch for text in cut.embedding_texts()}
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
