"""The product as one object: what the API, the commands, MCP and the pages call. Built by `app.wiring.open_assay`."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.encoders import Encoders, EncoderSpec
from app.file_sources import FileSources, source_of
from app.receipts import ReceiptStore, Replay, citations, replayed, without
from app.searches import Searches
from data.database import Database
from data.errors import DeadlineExceeded, NotFound
from data.folder import FoundFile, Refusal, find_files, is_gone, safe_name
from data.reading import Reader
from data.records import EVERYONE, AnswerEvent, Chunk, Document, Groups, Principal, Query, Receipt, Scalar, SearchResult
from evals.drift.requests import RequestStore
from evals.store import EvalStore
from retrieval.catalog import Catalog, DocumentSummary
from retrieval.config import SearchConfig
from retrieval.embedding import Vectors
from retrieval.ingest import Destination, Ingester, IngestEvent, embed_missing
from retrieval.reranking import Reranker

if TYPE_CHECKING:  # heavy: faiss, tantivy, langgraph
    from app.rag import Rag
    from app.rollout import AnswerRollout
    from app.watch import RequestWatch
    from retrieval.keeper import Keeper
    from serving.local.shipped_heads import ShippedHeads
    from serving.rollout.state import Route

DEFAULT_COLLECTION = "default"
EXTRACTIVE_MODEL = "assay-extractive"
OPERATOR = "cli"
"""The subject of commands: whoever can run them owns the store and may read every receipt of a tenant."""
ANSWER_CHUNKS = 8
SEARCHABLE_WITHIN_S = 30.0


@dataclass(frozen=True)
class Placement:
    """Where ingested documents go and who may read them; no groups means everyone in the tenant."""

    tenant: str = "default"
    collection: str = DEFAULT_COLLECTION
    groups: Groups = frozenset()
    metadata: tuple[tuple[str, Scalar], ...] = ()

    @property
    def destination(self) -> Destination:
        return Destination(self.tenant, self.collection)

    @property
    def effective_groups(self) -> Groups:
        return self.groups or frozenset({EVERYONE})


@dataclass(frozen=True)
class Stores:
    """What an `Assay` is made of."""

    database: Database
    catalog: Catalog
    keeper: "Keeper"
    encoders: Encoders
    ingester: Ingester
    reader: Reader
    search: SearchConfig
    var: Path
    make_rag: Callable[["Assay"], "Rag"]
    rollout: "AnswerRollout | None" = None
    """Adapters that answer in place of the configured model; None without a model server."""
    reranker: Reranker | None = None
    watch: "RequestWatch | None" = None
    """Logs what answers measured; None for no log."""
    make_heads: Callable[[], "ShippedHeads | None"] = lambda: None
    """The adapters that read, ground and screen; none where rules and words do it alone."""


class Assay:
    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.catalog = stores.catalog
        self.keeper = stores.keeper
        self.var = stores.var
        self.receipts = ReceiptStore(stores.database)
        self._files = FileSources(stores.reader, stores.ingester, stores.catalog)

    # -- search

    @cached_property
    def searches(self) -> Searches:
        return Searches(self.catalog, self.keeper.snapshot, self._embedded, self.stores.search, self.reranker)

    def search(self, query: Query) -> SearchResult:
        """The best chunks the principal may read. Raises: InvalidInput for an empty question."""
        return self.searches.search(query)

    def _embedded(self, embedder: str, question: str) -> Vectors:
        vector = self.stores.encoders.by_id(embedder).embed([question], kind="query")[0]
        if self.stores.watch is not None:
            self.stores.watch.embedded(question, embedder, vector)
        return vector

    # -- answers

    def ask(
        self,
        question: str,
        *,
        principal: Principal,
        model: str = "",
        strict: bool = False,
        user: str = "",
        route: "Route | None" = None,
        history: Sequence[tuple[str, str]] = (),
        stopped: threading.Event | None = None,
        **search: Any,
    ) -> Iterator[AnswerEvent]:
        """Answer from the documents that `principal` may read; yields events as they happen, `final` last.

        `strict` withholds sentences that nothing supports; `history` is (role, text) of earlier turns; `search` are the
        fields of `Query`: collection, filters, k, mode, conversation_id. `route` is the release that answers, where the caller
        has asked for it already (`user` matters to that choice alone). Closing the iterator stops the work; so does another
        thread that sets `stopped`, also in the middle of a step: then no `final` comes and no receipt is kept.
        """
        from app.conversations import turns_of
        from app.rag import Ask

        query = Query(text=question or " ", principal=principal, **{"k": ANSWER_CHUNKS} | search)
        extractive = model == EXTRACTIVE_MODEL
        asked = Ask(query, strict, extractive, turns_of(history), stopped=stopped or threading.Event())
        rollout = self.stores.rollout
        if rollout is not None and not extractive:
            route = route or rollout.route(principal, query.collection, model, user)
        if rollout is None or route is None:
            yield from self.rag.stream(asked)
        else:
            yield from rollout.watched(rollout.prepared(asked, route), self.rag.stream)

    @cached_property
    def heads(self) -> "ShippedHeads | None":
        return self.stores.make_heads()

    @cached_property
    def reranker(self) -> Reranker | None:
        """What puts hits in a new order: the given one, else the adapter; None where settings or folders have none."""
        if self.stores.search.reranked == "nothing":
            return None
        return self.stores.reranker or (self.heads.reranker if self.heads else None)

    @cached_property
    def rag(self) -> "Rag":
        return self.stores.make_rag(self)

    def receipt(self, identity: str, principal: Principal) -> Receipt:
        """An answer's receipt, without what it quotes from documents that are closed to `principal` by now.

        Raises: NotFound.
        """
        if principal.subject == OPERATOR:
            return self.receipts.get(identity, principal, any_subject=True)
        receipt = self.receipts.get(identity, principal)
        quoted = {citation.document_id for citation in citations(receipt.answer)}
        return without(receipt, [d for d in sorted(quoted) if not self._reads(d, principal)])

    def replay(self, identity: str, principal: Principal) -> Replay:
        """Repeat an answer's retrieval with the rights that the caller has now. Raises: NotFound."""
        receipt = self.receipt(identity, principal)
        now = principal if principal.subject != OPERATOR else receipt.principal
        query = receipt.query.model_copy(update={"principal": now})
        is_reranked = any("rerank" in hit.stages for hit in receipt.hits)
        return replayed(receipt, self.searches.reranked(query) if is_reranked else self.searches.retrieve(query))

    def feedback(self, identity: str, principal: Principal, rating: str, correction: str = "") -> None:
        """Keep what a reader thought of an answer. Raises: NotFound."""
        self.receipts.rate(identity, principal, rating, correction)
        if self.stores.rollout is not None:
            self.stores.rollout.rate(identity, rating)

    def forget(self, identity: str) -> int:
        """Blank what receipts, conversations and eval runs quote from a document; returns how many conversations were dropped."""
        conversations = self.receipts.forget(identity)
        EvalStore(self.stores.database).forget(identity)
        if self.stores.watch is not None:
            self.stores.watch.flush()
        RequestStore(self.stores.database).forget(identity)
        for thread in conversations:
            self.rag.forget(thread)
        return len(conversations)

    def embed(self, texts: Sequence[str], kind: str = "document") -> Vectors:
        """float32 [len(texts), dim] of the active embedder."""
        return self.stores.encoders.active().embed(texts, kind=kind)

    def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        """One relevance score per text: the reranker's, or cosine similarity where there is none."""
        if self.reranker is not None:
            return self.reranker.score(question, texts)
        return (self.embed(texts) @ self.embed([question], kind="query")[0]).tolist()

    # -- documents

    def ingest(self, paths: Iterable[Path], placement: Placement, *, sync: bool = False) -> Iterator[IngestEvent]:
        """Ingest files and folders; yields one event per file once it is durable.

        With `sync`, stored sources below the given folders that are gone from disk are removed at the end.
        """
        roots = [Path(p) for p in paths]
        found = list(find_files(roots))
        yield from self.ingest_found(found, placement)
        if sync:
            yield from self.remove_vanished(roots, found, placement)

    def ingest_found(self, found: Sequence[FoundFile | Refusal], placement: Placement) -> Iterator[IngestEvent]:
        for event in self.stores.ingester.run(self._files.of(found, placement), placement.destination):
            self.keeper.poke()
            yield event

    def remove_vanished(
        self, roots: Sequence[Path], found: Sequence[FoundFile | Refusal], placement: Placement
    ) -> Iterator[IngestEvent]:
        """Remove stored sources below the given folders that are no longer on disk.

        What merely cannot be listed or opened now stays.
        """
        present = {item.uri for item in found}
        for root in roots:
            below = root.resolve().as_uri()
            stored = self.catalog.uris(placement.tenant, placement.collection, below)
            gone = {
                uri: identity
                for uri, identity in stored.items()
                if uri not in present and (uri == below or uri.startswith(below.rstrip("/") + "/")) and is_gone(uri)
            }
            yield from self.stores.ingester.remove(gone)

    def add_document(
        self, name: str, content: bytes, placement: Placement, *, uri: str = ""
    ) -> tuple[Document, IngestEvent]:
        """Ingest one upload and wait until it is searchable.

        Raises: RefusedDocument when it cannot be read.
        """
        name = safe_name(name)
        read = self.stores.reader.read(name, content)
        source = source_of(uri or f"upload://{name}", read, placement)
        unchanged = self._files.unchanged(source.uri, source.file_sha256, placement)
        event = unchanged or next(iter(self.stores.ingester.run([source], placement.destination)))
        if event.generation:
            self.await_searchable(event.generation)
        principal = Principal(tenant=placement.tenant, groups=placement.effective_groups)
        return self.document(event.document_id, principal), event

    def documents(
        self, principal: Principal, collection: str | None = None, cursor: str = "", limit: int = 50
    ) -> tuple[list[DocumentSummary], str]:
        return self.catalog.documents(principal, collection, cursor, limit)

    def document(self, identity: str, principal: Principal) -> Document:
        return self.catalog.document(identity, principal)

    def _reads(self, identity: str, principal: Principal) -> bool:
        try:
            return bool(self.document(identity, principal))
        except NotFound:
            return False

    def chunks(self, identity: str, principal: Principal) -> list[Chunk]:
        return self.catalog.chunks_of(identity, principal)

    def collections(self, principal: Principal) -> dict[str, int]:
        return self.catalog.collections(principal)

    def delete(self, identity: str, principal: Principal) -> IngestEvent:
        """Take a document out of every store at once. Raises: NotFound."""
        document = self.document(identity, principal)
        (event,) = self.stores.ingester.remove({document.uri: document.id})
        self.forget(identity)
        self.keeper.catch_up()
        return event

    def settle(self) -> None:
        """Bring the indexes up to date and merge a large delta now: for commands, which have no background thread."""
        self.keeper.catch_up()
        if self.keeper.is_owner and self.keeper.merge_is_due:
            self.keeper.merge()

    def await_searchable(self, generation: int) -> None:
        """Return when searches see `generation`. Raises: DeadlineExceeded."""
        deadline = time.monotonic() + SEARCHABLE_WITHIN_S
        while self.keeper.catch_up().generation < generation:
            if time.monotonic() > deadline:
                raise DeadlineExceeded(
                    f"The index did not reach generation {generation} within {SEARCHABLE_WITHIN_S:.0f} s.",
                    next_step="The document is stored; see the log of the process that holds the index.",
                )
            time.sleep(0.05)

    def recut(self) -> Iterator[int]:
        """Cut anew what other chunking settings cut; yields the number of texts done so far. Interrupted, the same call resumes."""
        for done in self.stores.ingester.recut():
            self.keeper.poke()
            yield done
        self.keeper.catch_up()

    @property
    def n_cut_otherwise(self) -> int:
        """Texts that other chunking settings cut."""
        return self.stores.ingester.n_cut_otherwise

    def change_embedder(self, model: str) -> Iterator[int]:
        """Embed everything with `model` beside the present vectors, then switch every process over to it.

        Yields the number of chunks embedded so far. Searches go on with the old model until the end.
        Interrupted, the same call resumes.
        """
        encoder = self.stores.encoders.load(model)
        is_active = False
        while not is_active:  # documents that others add meanwhile have no vector of it yet
            yield from embed_missing(self.catalog, encoder)
            is_active = self.stores.encoders.activate(model)
        self.keeper.merge()

    @property
    def embedder(self) -> EncoderSpec:
        return self.stores.encoders.spec()

    # -- life

    def start(self) -> None:
        """Load index and encoder, and follow the database in the background."""
        self.keeper.start()
        self.stores.encoders.active().embed(["ready"], kind="query")
        if self.stores.rollout is not None:
            self.stores.rollout.start()

    def warm_up(self) -> None:
        """Have everything loaded that a first answer would wait for."""
        self.rag.warm_up()
        if self.heads is not None:
            self.heads.load()

    def close(self) -> None:
        if self.stores.rollout is not None:
            self.stores.rollout.close()
        self.stores.reader.close()
        self.keeper.close()
        if "rag" in vars(self):
            self.rag.close()
        if self.stores.watch is not None:
            self.stores.watch.close()
        if "heads" in vars(self) and self.heads is not None:
            self.heads.close()
        self.stores.database.close()
