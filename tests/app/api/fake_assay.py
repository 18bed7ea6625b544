"""A product of one document for tests of the HTTP edge: deterministic, and slow or failing on demand."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from app.api.service import Product
from app.keys import KeyStore
from data.errors import NotFound, RefusedDocument
from data.records import (
    Answer,
    AnswerEvent,
    Chunk,
    Citation,
    Document,
    EventType,
    Hit,
    Principal,
    Query,
    Receipt,
    SearchResult,
    Sentence,
    SourceRef,
    StageScore,
    Support,
    Usage,
)
from retrieval.catalog import DocumentSummary
from retrieval.ingest import IngestEvent
from tests.databases import new_database

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = "Assay shows its proof. Every sentence carries a citation."
SENTENCES = ("Assay shows its proof.", "Every sentence carries a citation.")


class FakeAssay:
    """`pause_s` is slept before each step; `fail_after` events an `error` is raised."""

    def __init__(self, *, pause_s: float = 0.0, error: Exception | None = None, fail_after: int = 0) -> None:
        self.pause_s = pause_s
        self.error = error
        self.fail_after = fail_after
        self.asked: list[dict] = []
        self.n_closed = 0
        self.closed = threading.Event()
        self.rated: list[tuple[str, str, str, str]] = []
        first = {"id": "d1", "uri": "file:///proof.md", "title": "Proof", "text": TEXT}
        placed = {"tenant": "default", "collection": "default", "groups": frozenset({"everyone"})}
        self.stored = {"d1": make_document(**first, **placed)}

    def search(self, query: Query) -> SearchResult:
        time.sleep(self.pause_s)
        if self.error:
            raise self.error
        chunk = Chunk(id="d1#0", document_id="d1", document_version=1, ordinal=0, start=0, end=len(TEXT), text=TEXT)
        hit = Hit(
            chunk=chunk,
            score=1.0,
            stages={"lexical": StageScore(rank=1, score=3.5)},
            sources=(SourceRef(document_id="d1", uri="file:///proof.md", title="Proof", version=1),),
        )
        return SearchResult(hits=(hit,), snapshot_id="snap-1", timings_ms={"lexical": 0.2, "dense": 0.3})

    def ask(self, question: str, **options) -> Iterator[AnswerEvent]:
        self.asked.append({"question": question} | options)
        try:
            for n, event in enumerate(self._events(question, options)):
                time.sleep(self.pause_s)
                if self.error and n >= self.fail_after:
                    raise self.error
                yield event
        finally:
            self.n_closed += 1
            self.closed.set()

    def _events(self, question: str, options: dict) -> Iterator[AnswerEvent]:
        result = self.search(Query(text=question)) if not self.error else None
        yield AnswerEvent(type=EventType.RETRIEVAL, result=result or SearchResult(hits=(), snapshot_id="snap-1"))
        sentences = tuple(Sentence(text=s, citations=(cite(s),), support=Support.SUPPORTED) for s in SENTENCES)
        for sentence in sentences:
            yield AnswerEvent(type=EventType.MESSAGE, sentence=sentence)
            yield AnswerEvent(type=EventType.CITATION, citation=sentence.citations[0])
        answer = Answer(
            text=" ".join(SENTENCES),
            sentences=sentences,
            model=options.get("model") or "assay-extractive",
            usage=Usage(prompt_tokens=12, completion_tokens=9),
            timings_ms={"retrieve": 1.5, "ground": 0.5},
            receipt_id="r1",
            conversation_id=options.get("conversation_id"),
        )
        yield AnswerEvent(type=EventType.FINAL, answer=answer)

    def embed(self, texts: list[str], kind: str = "document"):
        return np.eye(4, dtype=np.float32)[[len(t) % 4 for t in texts]]

    def rerank(self, question: str, texts: list[str]) -> list[float]:
        words = set(question.lower().split())
        return [len(words & set(t.lower().split())) / len(words) for t in texts]

    def document(self, identity: str, principal: Principal) -> Document:
        document = self.stored.get(identity)
        readable = document and document.tenant == principal.tenant and document.groups & principal.effective_groups
        if not readable:
            raise NotFound(f"There is no document {identity!r}.", next_step="List them with GET /v1/documents.")
        return document

    def documents(self, principal: Principal, collection: str | None = None, cursor: str = "", limit: int = 50):
        mine = [d for _, d in sorted(self.stored.items()) if d.tenant == principal.tenant and d.id > cursor]
        page = [_summary(d) for d in mine if collection in (None, d.collection)]
        return page[:limit], page[limit - 1].id if len(page) > limit else ""

    def chunks(self, identity: str, principal: Principal) -> list[Chunk]:
        document = self.document(identity, principal)
        return [_chunk(document)]

    def collections(self, principal: Principal) -> dict[str, int]:
        return dict(Counter(d.collection for d in self.stored.values() if d.tenant == principal.tenant))

    def add_document(self, name: str, content: bytes, placement, *, uri: str = "") -> tuple[Document, IngestEvent]:
        if name.endswith(".exe"):
            raise RefusedDocument(f"{name} is not a document.", reason="unsupported", next_step="Send a PDF.")
        uri = uri or f"upload://{name}"
        identity = f"d{hashlib.sha256(f'{placement.tenant}/{placement.collection}/{uri}'.encode()).hexdigest()[:8]}"
        status = "updated" if identity in self.stored else "added"
        document = make_document(
            id=identity,
            uri=uri,
            title=name,
            text=content.decode(errors="replace"),
            tenant=placement.tenant,
            collection=placement.collection,
            groups=placement.effective_groups,
            metadata=dict(placement.metadata),
        )
        self.stored[identity] = document
        return document, IngestEvent(status, uri, identity)

    def delete(self, identity: str, principal: Principal) -> IngestEvent:
        document = self.document(identity, principal)
        del self.stored[identity]
        return IngestEvent("removed", document.uri, identity)

    def receipt(self, identity: str, principal: Principal) -> Receipt:
        if identity != "r1":
            raise NotFound(f"There is no receipt {identity!r}.")
        answer = Answer(text="", sentences=())
        return Receipt(
            id="r1",
            created_at=MOMENT,
            principal=principal,
            question="What?",
            search_text="What?",
            query=Query(text="What?"),
            snapshot_id="snap-1",
            hits=(),
            answer=answer,
        )

    def replay(self, identity: str, principal: Principal) -> dict:
        return {"receipt_id": self.receipt(identity, principal).id, "identical": True, "differences": []}

    def feedback(self, receipt_id: str, principal: Principal, rating: str, correction: str = "") -> None:
        self.receipt(receipt_id, principal)
        self.rated.append((receipt_id, principal.tenant, rating, correction))


def make_document(**values) -> Document:
    plain = {"metadata": {}, "ingested_at": MOMENT, "version": 1} | values
    return Document(sha256=hashlib.sha256(plain["text"].encode()).hexdigest(), **plain)


def _summary(d: Document) -> DocumentSummary:
    kept = ("id", "uri", "title", "tenant", "collection", "groups", "metadata", "version", "ingested_at")
    size = len(d.text.encode())
    return DocumentSummary(
        **{name: getattr(d, name) for name in kept}, media_type="text/markdown", size_bytes=size, n_chunks=1
    )


def _chunk(d: Document) -> Chunk:
    span = {"ordinal": 0, "start": 0, "end": len(d.text), "text": d.text}
    return Chunk(id=f"{d.id}#0", document_id=d.id, document_version=d.version, **span)


def cite(quote: str) -> Citation:
    start = TEXT.index(quote)
    return Citation(
        document_id="d1",
        document_version=1,
        chunk_id="d1#0",
        start=start,
        end=start + len(quote),
        quote=quote,
        quote_sha256=hashlib.sha256(quote.encode()).hexdigest(),
        title="Proof",
        uri="file:///proof.md",
        support=0.9,
    )


def fake_product(path, assay: FakeAssay | None = None, **parts) -> Product:
    """A product over a fresh database at `path`."""
    database = new_database(path / "keys.db")
    return Product(assay=assay or FakeAssay(), keys=KeyStore(database), **parts)
