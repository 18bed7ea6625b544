"""Receipts: what an answer came from, checkable offline, repeatable, comparable.

The hash of a receipt covers every field but itself, in canonical JSON (sorted keys, no spaces, UTF-8).
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, insert, select, update

from data.database import Database
from data.errors import NotFound
from data.records import Answer, Citation, Hit, Principal, Query, Receipt, ReceiptHit, SearchResult
from data.tables import feedback, receipt_documents, receipts

ERASED = "[erased]"


class Check(BaseModel):
    """One thing that was checked."""

    model_config = ConfigDict(frozen=True)

    what: str
    ok: bool
    detail: str = ""


class Verification(BaseModel):
    model_config = ConfigDict(frozen=True)

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


class Replay(BaseModel):
    """`identical` means: same snapshot, same chunks, same scores, bit for bit."""

    model_config = ConfigDict(frozen=True)

    receipt_id: str
    identical: bool
    snapshot_then: str
    snapshot_now: str
    differences: tuple[str, ...]


class Difference(BaseModel):
    model_config = ConfigDict(frozen=True)

    component: Literal[
        "question",
        "access",
        "search",
        "snapshot",
        "retrieval",
        "prompt",
        "model",
        "adapter",
        "decode",
        "versions",
        "answer",
    ]
    before: Any
    after: Any


def thread_id(query: Query) -> str:
    """The thread of a conversation: it belongs to one tenant and one subject, another's id leads nowhere."""
    return "\x1f".join((query.principal.tenant, query.principal.subject, query.conversation_id or ""))


def seal(receipt: Receipt) -> Receipt:
    """The receipt with its hash."""
    return receipt.model_copy(update={"sha256": digest(receipt)})


def digest(receipt: Receipt) -> str:
    body = receipt.model_dump(mode="json", exclude={"sha256"})
    _sort_groups(body)
    return hashlib.sha256(
        json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()


def new_id() -> str:
    return f"rcpt_{secrets.token_hex(8)}"


def receipt_hits(hits: Sequence[Hit]) -> tuple[ReceiptHit, ...]:
    return tuple(
        ReceiptHit(
            chunk_id=hit.chunk.id,
            document_version=hit.chunk.document_version,
            text_sha256=_sha256(hit.chunk.text),
            start=hit.chunk.start,
            end=hit.chunk.end,
            score=hit.score,
            stages=hit.stages,
        )
        for hit in hits
    )


def citations(answer: Answer) -> list[Citation]:
    return [citation for sentence in answer.sentences for citation in sentence.citations]


def verify(receipt: Receipt, texts: Mapping[str, str] | None = None) -> Verification:
    """Check a receipt with nothing but itself and, where given, the texts of documents by id."""
    checks = [Check(what="receipt hash", ok=digest(receipt) == receipt.sha256, detail=receipt.sha256[:16])]
    known = {hit.chunk_id: hit for hit in receipt.hits}
    for n, citation in enumerate(citations(receipt.answer), 1):
        if citation.quote == ERASED:
            checks.append(Check(what=f"citation {n}", ok=True, detail="its document was erased"))
            continue
        checks.append(Check(what=f"citation {n}: hash of quote", ok=_sha256(citation.quote) == citation.quote_sha256))
        checks.append(
            Check(what=f"citation {n}: offsets fit the quote", ok=citation.end - citation.start == len(citation.quote))
        )
        hit = known.get(citation.chunk_id)
        inside = hit is not None and hit.start <= citation.start and citation.end <= hit.end
        checks.append(Check(what=f"citation {n}: lies in a retrieved chunk", ok=inside, detail=citation.chunk_id))
        if texts is not None and citation.document_id in texts:
            stands = texts[citation.document_id][citation.start : citation.end] == citation.quote
            checks.append(Check(what=f"citation {n}: stands in the document", ok=stands, detail=citation.document_id))
    return Verification(checks=tuple(checks))


def replayed(receipt: Receipt, now: SearchResult) -> Replay:
    """Compare what was retrieved then with what is retrieved now."""
    before, after = receipt.hits, receipt_hits(now.hits)
    differences = []
    if receipt.snapshot_id != now.snapshot_id:
        differences.append(f"the index moved from {receipt.snapshot_id} to {now.snapshot_id}")
    then_at, now_at = ({h.chunk_id: (n, h) for n, h in enumerate(side, 1)} for side in (before, after))
    for chunk, (rank, hit) in then_at.items():
        if chunk not in now_at:
            differences.append(f"{chunk} was at rank {rank} and is not retrieved any more")
            continue
        rank_now, hit_now = now_at[chunk]
        if rank != rank_now:
            differences.append(f"{chunk} moved from rank {rank} to {rank_now}")
        if hit.score != hit_now.score:
            differences.append(f"{chunk} scored {hit.score!r} and scores {hit_now.score!r}")
        if hit.text_sha256 != hit_now.text_sha256:
            differences.append(f"{chunk} has another text")
    differences += [f"{chunk} is new at rank {rank}" for chunk, (rank, _) in now_at.items() if chunk not in then_at]
    return Replay(
        receipt_id=receipt.id,
        identical=not differences,
        snapshot_then=receipt.snapshot_id,
        snapshot_now=now.snapshot_id,
        differences=tuple(differences),
    )


def blame(a: Receipt, b: Receipt) -> list[Difference]:
    """What differs between two receipts, causes first: the first entry is the earliest component that changed."""
    pairs = {
        "question": (a.search_text, b.search_text),
        "access": (_access(a.principal), _access(b.principal)),
        "search": (_search(a), _search(b)),
        "snapshot": (a.snapshot_id, b.snapshot_id),
        "retrieval": ([(h.chunk_id, h.score) for h in a.hits], [(h.chunk_id, h.score) for h in b.hits]),
        "prompt": (f"{a.prompt} {a.prompt_sha256[:12]}".strip(), f"{b.prompt} {b.prompt_sha256[:12]}".strip()),
        "model": (f"{a.model} {a.model_digest[:12]}".strip(), f"{b.model} {b.model_digest[:12]}".strip()),
        "adapter": (a.adapter, b.adapter),
        "decode": (a.decode, b.decode),
        "versions": (a.versions, b.versions),
        "answer": (a.answer.text, b.answer.text),
    }
    return [Difference(component=name, before=x, after=y) for name, (x, y) in pairs.items() if x != y]


class ReceiptStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, receipt: Receipt) -> None:
        quoted = {citation.document_id for citation in citations(receipt.answer)}
        with self._database.append() as connection:
            connection.execute(
                insert(receipts).values(
                    id=receipt.id,
                    tenant=receipt.principal.tenant,
                    subject=receipt.principal.subject,
                    created_at=receipt.created_at,
                    body=receipt.model_dump(mode="json"),
                )
            )
            if quoted:
                connection.execute(
                    insert(receipt_documents), [{"receipt_id": receipt.id, "document_id": d} for d in sorted(quoted)]
                )

    def get(self, identity: str, principal: Principal, *, any_subject: bool = False) -> Receipt:
        """Who asked may read it while they hold the groups it was made with; `any_subject` is for the operator.

        Raises: NotFound.
        """
        with self._database.read() as connection:
            body = connection.execute(
                select(receipts.c.body).where(receipts.c.id == identity, receipts.c.tenant == principal.tenant)
            ).scalar_one_or_none()
        if body is not None:
            receipt = Receipt.model_validate(body)
            asked = any_subject or receipt.principal.subject == principal.subject
            if asked and (any_subject or receipt.principal.groups <= principal.groups):
                return receipt
        raise NotFound(f"There is no receipt {identity!r}.", next_step="An answer carries its id as receipt_id.")

    def rate(self, identity: str, principal: Principal, rating: str, correction: str) -> None:
        """Keep what a reader thought of an answer. Raises: NotFound."""
        self.get(identity, principal)
        with self._database.append() as connection:
            connection.execute(
                insert(feedback).values(
                    receipt_id=identity,
                    tenant=principal.tenant,
                    subject=principal.subject,
                    rating=rating,
                    correction=correction,
                    created_at=datetime.now(UTC),
                )
            )

    def forget(self, document_id: str) -> list[str]:
        """Blank what receipts quote from a document, keeping hashes; returns the threads of conversations that showed it."""
        with self._database.append() as connection:
            rows = connection.execute(
                select(receipts.c.id, receipts.c.body)
                .join(receipt_documents, receipt_documents.c.receipt_id == receipts.c.id)
                .where(receipt_documents.c.document_id == document_id)
            ).all()
            for row in rows:
                blanked = seal(_blanked(Receipt.model_validate(row.body), document_id))
                connection.execute(
                    update(receipts).where(receipts.c.id == row.id).values(body=blanked.model_dump(mode="json"))
                )
                connection.execute(delete(feedback).where(feedback.c.receipt_id == row.id, feedback.c.correction != ""))
            connection.execute(delete(receipt_documents).where(receipt_documents.c.document_id == document_id))
        found = (Receipt.model_validate(row.body).query for row in rows)
        return sorted({thread_id(query) for query in found if query.conversation_id})


def _blanked(receipt: Receipt, document_id: str) -> Receipt:
    sentences = []
    for sentence in receipt.answer.sentences:
        if any(c.document_id == document_id for c in sentence.citations):
            kept = tuple(
                c.model_copy(update={"quote": ERASED, "title": ERASED, "uri": ""})
                if c.document_id == document_id
                else c
                for c in sentence.citations
            )
            sentence = sentence.model_copy(update={"text": ERASED, "citations": kept})
        sentences.append(sentence)
    text = " ".join(s.text for s in sentences)
    answer = receipt.answer.model_copy(update={"sentences": tuple(sentences), "text": text})
    return receipt.model_copy(update={"answer": answer})


def _access(p: Principal) -> list[Any]:
    return [p.tenant, sorted(p.groups)]


def _search(r: Receipt) -> dict[str, Any]:
    found = r.query.model_dump(mode="json", exclude={"text", "principal", "conversation_id"})
    return found


def _sort_groups(body: dict[str, Any]) -> None:
    for holder in (body["principal"], body["query"]["principal"]):
        holder["groups"] = sorted(holder["groups"])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
