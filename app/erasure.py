"""Deletes a document and proves that it is gone: probes every store afterwards and signs what it found."""

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, insert, select

from app.assay import Assay
from app.eval_stores import drop_stores_with
from data.errors import InfrastructureError, InvalidInput
from data.records import Document, Principal, Query, SearchMode
from data.tables import chunks, contents, documents, erasures, receipt_documents, vectors
from evals.drift.requests import RequestStore
from evals.store import EvalStore

KEY_FILE = "instance.key"
CANARY_CHARACTERS = 48
N_CANARIES = 8
READ_AT_ONCE = 1 << 20


class Probe(BaseModel):
    """One place that was looked into. `found` counts traces; 0 is what an erasure wants."""

    model_config = ConfigDict(frozen=True)

    store: str
    looked_for: str
    found: int


class Certificate(BaseModel):
    """What was erased, where it was looked for afterwards, and the instance's Ed25519 signature over all of it."""

    model_config = ConfigDict(frozen=True)

    document_id: str
    tenant: str
    text_sha256: str
    n_chunks: int
    kept_by: tuple[str, ...]
    """Ids of other documents with the very same text, which keep it; empty when nothing holds it any more."""
    erased_at: datetime
    probes: tuple[Probe, ...]
    public_key: str
    signature: str = ""

    @property
    def is_clean(self) -> bool:
        return all(probe.found == 0 for probe in self.probes)

    def signed_bytes(self) -> bytes:
        body = self.model_dump(mode="json", exclude={"signature"})
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class _Traces:
    """What to look for once the document is gone."""

    document_id: str
    content_id: int
    chunk_ids: tuple[int, ...]
    text: str
    kept_by: tuple[str, ...]


def erase(assay: Assay, identity: str, principal: Principal) -> Certificate:
    """Delete `identity` everywhere, rewrite the index files without it, probe each store, sign the result.

    Raises: NotFound; InvalidInput while another process holds the index, whose files only it can rewrite.
    """
    document = assay.document(identity, principal)
    assay.keeper.catch_up()
    if not assay.keeper.is_owner:
        raise InvalidInput(
            f"Another process holds the index in {assay.keeper.folder}; only that process can rewrite its files.",
            next_step="Stop `assay serve` and erase again. To delete without a certificate: DELETE /v1/documents/ID.",
        )
    traces = _traces(assay, identity, document.text)
    assay.delete(identity, principal)
    if not traces.kept_by:
        drop_stores_with(document.sha256, assay.var)
        assay.keeper.merge()
        assay.keeper.rebuild_lexical()
    assay.stores.database.compact()
    certificate = _signed(assay, document, traces, principal)
    with assay.stores.database.append() as connection:
        connection.execute(
            insert(erasures).values(
                document_id=identity,
                tenant=principal.tenant,
                erased_at=certificate.erased_at,
                certificate=certificate.model_dump(mode="json"),
            )
        )
    return certificate


def is_genuine(certificate: Certificate) -> bool:
    """Whether the signature covers exactly what the certificate says."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(certificate.public_key))
        key.verify(bytes.fromhex(certificate.signature), certificate.signed_bytes())
    except (InvalidSignature, ValueError):
        return False
    return True


def instance_key(path: Path) -> Ed25519PrivateKey:
    """The key of this installation, made at first use, readable by its owner alone. Raises: InfrastructureError."""
    if not path.exists():
        _make_key(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path)
    return key


def _make_key(path: Path) -> None:
    """Written aside and linked, so that of several processes that try at once one wins and none reads half a key."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
    with open(aside, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()


def _unusable(path: Path) -> InfrastructureError:
    return InfrastructureError(
        f"The instance key {path} cannot be used.",
        next_step="Restore it from a backup, or move it away: a new one is made, and older certificates name the old one.",
    )


def _signed(assay: Assay, document: Document, traces: _Traces, principal: Principal) -> Certificate:
    key = instance_key(assay.var / KEY_FILE)
    unsigned = Certificate(
        document_id=document.id,
        tenant=principal.tenant,
        text_sha256=document.sha256,
        n_chunks=len(traces.chunk_ids),
        kept_by=traces.kept_by,
        erased_at=datetime.now(UTC),
        probes=tuple(_probes(assay, traces, principal)),
        public_key=key.public_key().public_bytes_raw().hex(),
    )
    return unsigned.model_copy(update={"signature": key.sign(unsigned.signed_bytes()).hex()})


def _traces(assay: Assay, identity: str, text: str) -> _Traces:
    with assay.stores.database.read() as c:
        content_id = c.execute(select(documents.c.content_id).where(documents.c.id == identity)).scalar_one()
        ids = c.execute(select(chunks.c.id).where(chunks.c.content_id == content_id)).scalars().all()
        others = c.execute(
            select(documents.c.id).where(documents.c.content_id == content_id, documents.c.id != identity)
        ).scalars()
        return _Traces(identity, content_id, tuple(ids), text, tuple(sorted(others)))


def _probes(assay: Assay, t: _Traces, principal: Principal) -> list[Probe]:
    with assay.stores.database.read() as c:

        def rows(table, condition) -> int:
            return c.execute(select(func.count()).select_from(table).where(condition)).scalar_one()

        probes = [
            Probe(
                store="database.documents",
                looked_for="the id",
                found=rows(documents, documents.c.id == t.document_id),
            ),
            Probe(
                store="database.receipts",
                looked_for="receipts that still quote it",
                found=rows(receipt_documents, receipt_documents.c.document_id == t.document_id),
            ),
            Probe(
                store="database.evals",
                looked_for="rows and cached answers that name it",
                found=EvalStore(assay.stores.database).n_mentions(t.document_id),
            ),
            Probe(
                store="database.watch",
                looked_for="logged requests that were shown it",
                found=RequestStore(assay.stores.database).n_mentions(t.document_id),
            ),
        ]
        if t.kept_by:
            return probes
        probes += [
            Probe(
                store="database.contents",
                looked_for="the text",
                found=rows(contents, contents.c.id == t.content_id),
            ),
            Probe(
                store="database.chunks",
                looked_for="its chunks",
                found=rows(chunks, chunks.c.content_id == t.content_id),
            ),
            Probe(
                store="database.vectors",
                looked_for="its vectors",
                found=rows(vectors, vectors.c.chunk_id.in_(t.chunk_ids)),
            ),
        ]
    gone = set(t.chunk_ids)
    snapshot = assay.keeper.snapshot()
    probes.append(Probe(store="index.dense", looked_for="its chunk ids", found=len(gone & snapshot.chunk_ids())))
    probes.append(
        Probe(
            store="index.lexical",
            looked_for="its chunk ids",
            found=len(gone & set(snapshot.lexical.chunk_ids())),
        )
    )
    probes.append(_search_probe(assay, t, principal))
    probes.append(_file_probe(assay, t.text))
    return probes


def _search_probe(assay: Assay, t: _Traces, principal: Principal) -> Probe:
    question = " ".join(t.text.split()[:40]) or t.document_id
    result = assay.search(Query(text=question, principal=principal, k=50, mode=SearchMode.HYBRID))
    found = sum(any(s.document_id == t.document_id for s in hit.sources) for hit in result.hits)
    return Probe(store="search", looked_for="its own opening words as a query", found=found)


def _file_probe(assay: Assay, text: str) -> Probe:
    """Looks for stretches of the text, byte for byte, in every file below `var/`, the database's free pages included.

    Stretches that another document holds too prove nothing and are left out.
    """
    with assay.stores.database.read() as c:
        others = select(func.count()).select_from(contents)
        own = [
            canary
            for canary in _canaries(text)
            if not c.execute(others.where(contents.c.text.contains(canary, autoescape=True))).scalar_one()
        ]
    wanted = {form for canary in own for form in _as_stored(canary)}
    found = sum(_holds(path, wanted) for path in sorted(assay.var.rglob("*")) if path.is_file())
    return Probe(store="files", looked_for=f"{len(own)} stretches of its text in every file under var/", found=found)


def _canaries(text: str) -> list[str]:
    """Stretches spread over the text, chosen by its hash, so that nobody can prepare for them."""
    room = max(len(text) - CANARY_CHARACTERS, 1)
    seed = hashlib.sha256(text.encode()).digest()
    starts = {int.from_bytes(seed[4 * i : 4 * i + 4]) % room for i in range(N_CANARIES)}
    return [text[s : s + CANARY_CHARACTERS] for s in sorted(starts) if text[s : s + CANARY_CHARACTERS].strip()]


def _as_stored(canary: str) -> set[bytes]:
    """As text columns hold it, and as JSON with and without escapes does."""
    return {canary.encode(), json.dumps(canary)[1:-1].encode(), json.dumps(canary, ensure_ascii=False)[1:-1].encode()}


def _holds(path: Path, wanted: set[bytes]) -> bool:
    overlap = max(map(len, wanted), default=1)
    tail = b""
    try:
        with path.open("rb") as file:
            while block := file.read(READ_AT_ONCE):
                seen = tail + block
                if any(form in seen for form in wanted):
                    return True
                tail = seen[-overlap:]
    except FileNotFoundError:  # a file that vanished while we looked holds nothing
        return False
    return False
