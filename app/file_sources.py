"""Which of the files found are read, and what the ingest is given of them: those that did not change are skipped by their hash."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from data.errors import RefusedDocument
from data.folder import FoundFile, Refusal
from data.reading import ReadDocument, Reader, file_sha256, unreadable
from retrieval.catalog import Catalog
from retrieval.ingest import Ingester, IngestEvent, ReadSource

if TYPE_CHECKING:
    from app.assay import Placement

SETTLED_AT_ONCE = 256
"""Files that are hashed, to skip those that did not change, before the others among them are read."""


class FileSources:
    def __init__(self, reader: Reader, ingester: Ingester, catalog: Catalog) -> None:
        self._reader, self._ingester, self._catalog = reader, ingester, catalog

    def of(self, found: Sequence[FoundFile | Refusal], placement: "Placement") -> Iterator[ReadSource | IngestEvent]:
        """What was read of each file, or the outcome of one that need not or cannot be read."""
        for at in range(0, len(found), SETTLED_AT_ONCE):
            to_read: list[FoundFile] = []
            for item in found[at : at + SETTLED_AT_ONCE]:
                if event := self._settled(item, placement):
                    yield event
                else:
                    to_read.append(item)
            for item, read in self._reader.read_many(to_read):
                if isinstance(read, RefusedDocument):
                    yield IngestEvent.refused(item.uri, read)
                else:
                    yield source_of(item.uri, read, placement)

    def unchanged(self, uri: str, digest: str, placement: "Placement") -> IngestEvent | None:
        """The outcome of what is stored in the same place with the same content, groups and metadata; None for anything else."""
        to = placement.destination
        if self._ingester.is_unchanged(to, uri, digest, placement.effective_groups, dict(placement.metadata)):
            return IngestEvent("unchanged", uri, self._catalog.id_of(to.tenant, to.collection, uri))
        return None

    def _settled(self, item: FoundFile | Refusal, placement: "Placement") -> IngestEvent | None:
        """The outcome of a file that need not be read: refused, or known and unchanged."""
        if isinstance(item, Refusal):
            return IngestEvent.refused(item.uri, item.error)
        if item.size_bytes > self._reader.max_bytes:
            return None  # the reader refuses it
        try:
            digest = file_sha256(item.path)
        except RefusedDocument as error:
            return IngestEvent.refused(item.uri, error)
        except OSError as error:
            return IngestEvent.refused(item.uri, unreadable(item.path.name, error))
        return self.unchanged(item.uri, digest, placement)


def source_of(uri: str, read: ReadDocument, placement: "Placement") -> ReadSource:
    return ReadSource(
        uri=uri,
        title=read.title,
        text=read.text,
        file_sha256=read.file_sha256,
        size_bytes=read.size_bytes,
        media_type=read.media_type,
        groups=placement.effective_groups,
        metadata=read.metadata | dict(placement.metadata),
        given=dict(placement.metadata),
    )
