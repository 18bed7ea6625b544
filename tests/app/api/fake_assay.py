"""A product of one document for tests of the HTTP edge: deterministic, and slow or failing on demand."""

import hashlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from app.api.service import Product
from app.keys import KeyStore
from data.database import Database
from data.errors import NotFound
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
    SearchResult,
    Sentence,
    SourceRef,
    StageScore,
    Support,
    Usage,
)

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
        self.collection_of = {"d1": "default"}

    def search(self, query: Query) -> SearchResult:
        time.sleep(self.pause_s)
        if self.error:
            raise self.error
        chunk = Chunk(
            id="d1#0", document_id="d1", document_version=1, ordinal=0, start=0, end=len(TEXT), text=TEXT
        )
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
        yield AnswerEvent(
            type=EventType.RETRIEVAL, result=result or SearchResult(hits=(), snapshot_id="snap-1")
        )
        sentences = tuple(
            Sentence(text=s, citations=(cite(s),), support=Support.SUPPORTED) for s in SENTENCES
        )
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
        if identity != "d1" or principal.tenant != "default":
            raise NotFound(f"There is no document {identity!r}.")
        return Document(
            id="d1",
            uri="file:///proof.md",
            title="Proof",
            text=TEXT,
            sha256=hashlib.sha256(TEXT.encode()).hexdigest(),
            tenant="default",
            collection="default",
            groups=frozenset({"everyone"}),
            ingested_at=datetime(2026, 1, 1, tzinfo=UTC),
        )

    def collections(self, principal: Principal) -> dict[str, int]:
        return {"default": 1}


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
    database = Database(f"sqlite:///{path / 'keys.db'}")
    database.migrate()
    return Product(assay=assay or FakeAssay(), keys=KeyStore(database), **parts)
