"""Receipts: what an answer came from, checkable offline, repeatable, comparable.

The hash of a receipt covers every field but itself, in canonical JSON (sorted keys, no spaces, whole numbers without a
point, UTF-8).
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, delete, insert, select, update

from data.database import Database
from data.errors import NotFound
from data.records import Answer, Citation, Hit, Principal, Query, Receipt, ReceiptHit, SearchResult, Sentence
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
    """`identical`: the same chunks with the same texts, ranks and scores, bit for bit, even where the index has moved on."""

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
        "rewriting",
        "access",
        "search",
        "snapshot",
        "retrieval",
        "screening",
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
    if not body["answer"]["withheld"]:  # as receipts were that knew no such field
        del body["answer"]["withheld"]
    return _sha256(json.dumps(_plain_numbers(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False))


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


def document_of(chunk_id: str) -> str:
    return chunk_id.rpartition("#")[0]


def verify(receipt: Receipt, texts: Mapping[str, str] | None = None) -> Verification:
    """Check a receipt with nothing but itself and, where given, the texts of documents by id."""
    checks = [
        Check(what="receipt hash", ok=digest(receipt) == receipt.sha256, detail=receipt.sha256[:16]),
        Check(what="answer names this receipt", ok=receipt.answer.receipt_id == receipt.id, detail=receipt.id),
    ]
    for n, citation in enumerate(citations(receipt.answer), 1):
        checks += _citation_checks(f"citation {n}", citation, receipt)
    for n, stretch in enumerate(receipt.answer.withheld, 1):
        inside = _is_retrieved(receipt, stretch.chunk_id, stretch.start, stretch.end)
        checks.append(Check(what=f"withheld {n}: lies in a retrieved chunk", ok=inside, detail=stretch.chunk_id))
    for identity, text in (texts or {}).items():
        checks += _text_checks(identity, text, receipt)
    return Verification(checks=tuple(checks))


def _citation_checks(name: str, c: Citation, receipt: Receipt) -> list[Check]:
    if c.quote == ERASED:
        return [Check(what=name, ok=True, detail="its document was erased")]
    inside = _is_retrieved(receipt, c.chunk_id, c.start, c.end) and document_of(c.chunk_id) == c.document_id
    shown = not any(w.chunk_id == c.chunk_id and w.start < c.end and c.start < w.end for w in receipt.answer.withheld)
    return [
        Check(what=f"{name}: hash of quote", ok=_sha256(c.quote) == c.quote_sha256),
        Check(what=f"{name}: offsets fit the quote", ok=c.start >= 0 and c.end - c.start == len(c.quote) > 0),
        Check(what=f"{name}: lies in a retrieved chunk", ok=inside, detail=c.chunk_id),
        Check(what=f"{name}: was not withheld", ok=shown),
    ]


def _is_retrieved(receipt: Receipt, chunk_id: str, start: int, end: int) -> bool:
    return any(hit.chunk_id == chunk_id and hit.start <= start and end <= hit.end for hit in receipt.hits)


def _text_checks(identity: str, text: str, receipt: Receipt) -> list[Check]:
    quoted = [(n, c) for n, c in enumerate(citations(receipt.answer), 1) if c.document_id == identity]
    chunks = [hit for hit in receipt.hits if document_of(hit.chunk_id) == identity]
    if not quoted and not chunks:
        return [Check(what=f"document {identity}", ok=False, detail="this receipt does not mention it")]
    return [
        Check(what=f"citation {n}: stands in the document", ok=text[c.start : c.end] == c.quote, detail=identity)
        for n, c in quoted
        if c.quote != ERASED
    ] + [
        Check(
            what=f"chunk {hit.chunk_id}: is the document's text",
            ok=_sha256(text[hit.start : hit.end]) == hit.text_sha256,
        )
        for hit in chunks
    ]


def replayed(receipt: Receipt, now: SearchResult) -> Replay:
    """Compare what was retrieved then with what is retrieved now."""
    before, after = receipt.hits, receipt_hits(now.hits)
    then_at, now_at = ({h.chunk_id: (n, h) for n, h in enumerate(side, 1)} for side in (before, after))
    differences: list[str] = []
    for chunk, (rank, hit) in then_at.items():
        if chunk not in now_at:
            differences.append(f"{chunk} was at rank {rank} and is not retrieved any more")
        else:
            differences += _moved(rank, hit, *now_at[chunk])
    differences += [f"{chunk} is new at rank {rank}" for chunk, (rank, _) in now_at.items() if chunk not in then_at]
    if differences and receipt.snapshot_id != now.snapshot_id:
        differences.insert(0, f"the index moved from {receipt.snapshot_id} to {now.snapshot_id}")
    return Replay(
        receipt_id=receipt.id,
        identical=not differences,
        snapshot_then=receipt.snapshot_id,
        snapshot_now=now.snapshot_id,
        differences=tuple(differences),
    )


def _moved(rank: int, hit: ReceiptHit, rank_now: int, hit_now: ReceiptHit) -> list[str]:
    chunk = hit.chunk_id
    told = {
        f"{chunk} moved from rank {rank} to {rank_now}": rank != rank_now,
        f"{chunk} scored {hit.score!r} and scores {hit_now.score!r}": hit.score != hit_now.score,
        f"{chunk} has another text": hit.text_sha256 != hit_now.text_sha256,
        f"{chunk} is of version {hit_now.document_version}, then {hit.document_version}": (
            hit.document_version != hit_now.document_version
        ),
    }
    found = [difference for difference, holds in told.items() if holds]
    if not found and hit != hit_now:
        found = [f"{chunk} got other scores from the stages before the last"]
    return found


def blame(a: Receipt, b: Receipt) -> list[Difference]:
    """What differs between two receipts, causes first: the first entry is the earliest component that changed."""
    pairs = {
        "question": (a.question, b.question),
        "rewriting": (a.search_text, b.search_text),
        "access": (_access(a.principal), _access(b.principal)),
        "search": (_search(a), _search(b)),
        "snapshot": (a.snapshot_id, b.snapshot_id),
        "retrieval": (_retrieved(a), _retrieved(b)),
        "screening": (_withheld(a), _withheld(b)),
        "prompt": (f"{a.prompt} {a.prompt_sha256[:12]}".strip(), f"{b.prompt} {b.prompt_sha256[:12]}".strip()),
        "model": (f"{a.model} {a.model_digest[:12]}".strip(), f"{b.model} {b.model_digest[:12]}".strip()),
        "adapter": (a.adapter, b.adapter),
        "decode": (a.decode, b.decode),
        "versions": (a.versions, b.versions),
        "answer": (a.answer.text, b.answer.text),
    }
    return [Difference(component=name, before=x, after=y) for name, (x, y) in pairs.items() if x != y]


def without(receipt: Receipt, document_ids: Sequence[str]) -> Receipt:
    """The receipt without what it quotes from these documents, sealed anew; itself when there are none."""
    for identity in document_ids:
        receipt = _blanked(receipt, identity)
    return seal(receipt) if document_ids else receipt


class ReceiptStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, receipt: Receipt) -> None:
        row = {
            "id": receipt.id,
            "tenant": receipt.principal.tenant,
            "subject": receipt.principal.subject,
            "created_at": receipt.created_at,
            "body": receipt.model_dump(mode="json"),
        }
        with self._database.append(flush=False) as connection:  # an answer does not wait for the disk
            connection.execute(insert(receipts), row)
            if told := _documents_told(receipt):
                connection.execute(
                    insert(receipt_documents), [{"receipt_id": receipt.id, "document_id": d} for d in sorted(told)]
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
        """Blank what receipts tell of a document, keeping hashes; returns the threads of conversations that showed it."""
        with self._database.append() as connection:
            rows = connection.execute(
                select(receipts.c.id, receipts.c.body)
                .join(receipt_documents, receipt_documents.c.receipt_id == receipts.c.id)
                .where(receipt_documents.c.document_id == document_id)
            ).all()
            told = [Receipt.model_validate(row.body) for row in rows]
            for receipt in told:
                _replace(connection, _blanked(receipt, document_id))
                connection.execute(
                    delete(feedback).where(feedback.c.receipt_id == receipt.id, feedback.c.correction != "")
                )
            conversations = {thread_id(r.query): r.query for r in told if r.query.conversation_id}
            for query in conversations.values():
                _forget_rewritings(connection, query)
            connection.execute(delete(receipt_documents).where(receipt_documents.c.document_id == document_id))
        return sorted(conversations)


def _documents_told(receipt: Receipt) -> set[str]:
    """Documents whose words may stand in the answer: those it cites, and all that a model was shown before it wrote."""
    cited = {citation.document_id for citation in citations(receipt.answer)}
    return cited | ({document_of(hit.chunk_id) for hit in receipt.hits} if receipt.prompt else set())


def _replace(connection: Connection, receipt: Receipt) -> None:
    body = seal(receipt).model_dump(mode="json")
    connection.execute(update(receipts).where(receipts.c.id == receipt.id).values(body=body))


def _forget_rewritings(connection: Connection, asked: Query) -> None:
    """Put the question in place of what a model made of it: it had read the conversation's earlier answers."""
    conversation = receipts.c.body["query"]["conversation_id"].as_string() == asked.conversation_id
    mine = (receipts.c.tenant == asked.principal.tenant, receipts.c.subject == asked.principal.subject)
    for body in connection.execute(select(receipts.c.body).where(conversation, *mine)).scalars().all():
        receipt = Receipt.model_validate(body)
        if receipt.search_text != receipt.question:
            query = receipt.query.model_copy(update={"text": receipt.question})
            _replace(connection, receipt.model_copy(update={"search_text": receipt.question, "query": query}))


def _blanked(receipt: Receipt, document_id: str) -> Receipt:
    sentences = tuple(_blanked_sentence(s, document_id, receipt) for s in receipt.answer.sentences)
    text = " ".join(s.text for s in sentences) or receipt.answer.text
    return receipt.model_copy(
        update={"answer": receipt.answer.model_copy(update={"sentences": sentences, "text": text})}
    )


def _blanked_sentence(sentence: Sentence, document_id: str, receipt: Receipt) -> Sentence:
    """Without the document's words. A sentence without proof that a model wrote may come from any document it was shown."""
    cites_it = any(c.document_id == document_id for c in sentence.citations)
    if not cites_it and (sentence.citations or not receipt.prompt):
        return sentence
    gone = {"quote": ERASED, "title": ERASED, "uri": ""}
    kept = tuple(c.model_copy(update=gone) if c.document_id == document_id else c for c in sentence.citations)
    return sentence.model_copy(update={"text": ERASED, "citations": kept})


def _access(p: Principal) -> list[Any]:
    return [p.tenant, sorted(p.groups)]


def _retrieved(r: Receipt) -> list[Any]:
    return [[hit.chunk_id, hit.text_sha256[:12], hit.score] for hit in r.hits]


def _withheld(r: Receipt) -> list[Any]:
    return [[w.chunk_id, w.start, w.end, w.reason] for w in r.answer.withheld]


def _search(r: Receipt) -> dict[str, Any]:
    return r.query.model_dump(mode="json", exclude={"text", "principal", "conversation_id"})


def _sort_groups(body: dict[str, Any]) -> None:
    for holder in (body["principal"], body["query"]["principal"]):
        holder["groups"] = sorted(holder["groups"])


def _plain_numbers(value: Any) -> Any:
    """Whole floats as integers, as JavaScript writes them: a receipt that went through a browser keeps its hash."""
    if isinstance(value, dict):
        return {name: _plain_numbers(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_plain_numbers(held) for held in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
