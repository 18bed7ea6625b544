"""Nobody ever sees what they may not: made-up tenants, groups, documents and keys, against every route that returns text.

Each document has words that occur nowhere else, in its text, its uri, its metadata and its collection's name. Whatever a
route answers, the words in it must belong to documents that the asking key may read at that moment.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.api.service import Product
from app.assay import Assay, Placement, Stores
from app.encoders import Encoders
from app.keys import KeyStore
from app.settings import Settings
from app.wiring import build_rag
from data.reading import Reader
from data.records import EVERYONE, Principal
from retrieval.catalog import Catalog
from retrieval.config import IndexConfig, IngestConfig, SearchConfig
from retrieval.embedding import HashingEmbedder
from retrieval.ingest import Ingester
from retrieval.keeper import Keeper
from serving.local.reader import ReaderConfig
from tests.app.api.conftest import local_client
from tests.databases import new_database

pytestmark = pytest.mark.slow
TENANTS, GROUPS, COLLECTIONS = ("north", "south"), ("hr", "law"), ("one", "two")
QUESTION = "How many days is the limit?"
GROUP_SETS = st.sets(st.sampled_from(GROUPS)).map(frozenset)


@dataclass(frozen=True)
class Stored:
    """A document. `copies` is the place in the list of an earlier one whose text it repeats, if it is that long."""

    tenant: str
    groups: frozenset[str]
    collection: str
    copies: int | None = None
    words: tuple[str, ...] = ()
    id: str = ""
    is_deleted: bool = False

    def is_readable_by(self, asker: "Asker") -> bool:
        return (
            not self.is_deleted
            and self.tenant == asker.tenant
            and (not self.groups or bool(self.groups & asker.groups))
        )


@dataclass(frozen=True)
class Asker:
    tenant: str
    groups: frozenset[str]


DOCUMENTS = st.lists(
    st.builds(
        Stored,
        st.sampled_from(TENANTS),
        GROUP_SETS,
        st.sampled_from(COLLECTIONS),
        st.none() | st.integers(0, 3),
    ),
    min_size=2,
    max_size=5,
)
ASKERS = st.lists(st.builds(Asker, st.sampled_from(TENANTS), GROUP_SETS), min_size=2, max_size=3, unique=True)
CHANGES = st.lists(st.tuples(st.integers(0, 5), st.just("delete") | GROUP_SETS), max_size=4)


@pytest.fixture(scope="module")
def product(tmp_path_factory) -> Iterator[Product]:
    """All real but the embedder (hashed words) and the reader's threshold: it should quote as much as it can."""
    home = tmp_path_factory.mktemp("security")
    database = new_database(home / "assay.db")
    catalog, embedder = Catalog(database), HashingEmbedder()
    encoders = Encoders(database, lambda model: embedder)
    chosen = Settings(home=home, reader=ReaderConfig(threshold=0.01))
    stores = Stores(
        database=database,
        catalog=catalog,
        keeper=Keeper(catalog, home / "index", lambda: (embedder.id, embedder.dim), IndexConfig()),
        encoders=encoders,
        ingester=Ingester(catalog, encoders.active, IngestConfig()),
        reader=Reader(),
        search=SearchConfig(),
        var=home,
        make_rag=lambda opened: build_rag(chosen, opened),
    )
    assay = Assay(stores)
    assay.start()
    yield Product(assay=assay, keys=KeyStore(database), embedder=lambda: assay.embedder.id)
    assay.close()


@pytest.fixture(scope="module")
def client(product) -> Iterator[TestClient]:
    with local_client(product) as client:
        yield client


class World:
    """The documents and keys of one example, in tenants of its own."""

    def __init__(self, product: Product, client: TestClient) -> None:
        self._product = product
        self._client = client
        self._name = secrets.token_hex(4)
        self.documents: list[Stored] = []
        self.receipts: list[str] = []
        self._keys: dict[Asker, dict[str, str]] = {}
        self._rare = {name: word() for name in COLLECTIONS}

    def add(self, new: Stored) -> None:
        text_word = (
            self.documents[new.copies].words[0]
            if new.copies is not None and new.copies < len(self.documents)
            else word()
        )
        words = (text_word, word(), word(), self._rare[new.collection])
        self.documents.append(self._put(replace(new, words=words)))

    def change(self, at: int, change: str | frozenset[str]) -> None:
        if at >= len(self.documents) or self.documents[at].is_deleted:
            return
        old = self.documents[at]
        if change == "delete":
            owner = Principal(tenant=self.tenant(old), groups=frozenset(GROUPS) | {EVERYONE})
            self._product.assay.delete(old.id, owner)
            self.documents[at] = replace(old, is_deleted=True)
        else:
            self.documents[at] = self._put(replace(old, groups=change))

    def _put(self, d: Stored) -> Stored:
        text_word, uri_word, fact_word, collection_word = d.words
        text = f"# The {text_word} rules\n\nThe limit is {text_word} days for everybody here.\n\nThe limit of days stays.\n"
        placement = Placement(self.tenant(d), f"{d.collection}-{collection_word}", d.groups, (("fact", fact_word),))
        added, _ = self._product.assay.add_document("rules.md", text.encode(), placement, uri=f"wiki://{uri_word}")
        return replace(d, id=added.id)

    def tenant(self, of: Stored | Asker) -> str:
        return f"{of.tenant}-{self._name}"

    def headers(self, asker: Asker) -> dict[str, str]:
        if asker not in self._keys:
            tenant, options = self.tenant(asker), {"scopes": ["read", "write"], "rate_per_minute": 10**9}
            _, token = self._product.keys.create("fuzz", tenant=tenant, groups=asker.groups, **options)
            self._keys[asker] = {"authorization": f"Bearer {token}"}
        return self._keys[asker]

    def allowed(self, asker: Asker) -> set[str]:
        return {w for d in self.documents if d.is_readable_by(asker) for w in d.words}

    def check(self, asker: Asker) -> dict[str, set[str]]:
        """Ask every route as `asker`: the rare words that each showed, every one of them allowed."""
        every = {w for d in self.documents for w in d.words}
        seen: dict[str, set[str]] = {}
        for label, body in self._answers(asker, self.headers(asker)):
            found = {w for w in every if w in body}
            assert found <= self.allowed(asker), f"{label} shows {asker} what it may not see"
            seen[label] = seen.get(label, set()) | found
        return seen

    def _answers(self, asker: Asker, headers: dict[str, str]) -> Iterator[tuple[str, str]]:
        """What each route says, and by which name a failure calls it."""

        def call(method: str, path: str, **options) -> str:
            response = self._client.request(method, path, headers=headers | options.pop("headers", {}), **options)
            assert response.status_code < 500, f"{method} {path}: {response.text}"
            return response.text

        def ask(**extra) -> dict:
            return {"messages": [{"role": "user", "content": QUESTION}], "k": 50} | extra

        for mode in ("lexical", "dense", "hybrid"):
            yield f"search {mode}", call("POST", "/v1/search", json={"query": QUESTION, "k": 50, "mode": mode})
        for n, d in enumerate(self.documents):
            narrowing = (
                ("document_id", "equals", d.id),
                ("uri", "prefix", f"wiki://{d.words[1][:3]}"),
                ("fact", "prefix", d.words[2][:3]),
            )
            field, op, value = narrowing[n % 3]
            filters = [{"field": field, "op": op, "value": value}]
            yield "search by fact", call("POST", "/v1/search", json={"query": QUESTION, "filters": filters})
            collection = f"{d.collection}-{d.words[3]}"
            yield "search a collection", call("POST", "/v1/search", json={"query": QUESTION, "collection": collection})
            yield "document", call("GET", f"/v1/documents/{d.id}")
            yield "source page", call("GET", f"/documents/{d.id}?start=0&end=20")
            yield "MCP open_citation", self._tool(call, "open_citation", document_id=d.id if n % 2 else f"{d.id}#0")
        for conversation in (None, "shared"):
            answer = call("POST", "/v1/chat/completions", json=ask(conversation_id=conversation))
            yield "chat", answer
            self.receipts.append(answer.partition('"receipt_id":"')[2].partition('"')[0])
        yield "chat stream", call("POST", "/v1/chat/completions", json=ask(stream=True, conversation_id="shared"))
        yield "MCP search", self._tool(call, "search", question=QUESTION, k=50)
        yield "MCP ask", self._tool(call, "ask", question=QUESTION, k=50)
        for path in (
            "/v1/documents",
            "/v1/documents?limit=1",
            "/v1/collections",
            "/documents",
            "/",
            "/v1/models",
            "/v1/session",
        ):
            yield f"GET {path}", call("GET", path)
        yield "page with a question", call("GET", "/", params={"q": QUESTION})
        yield "rerank", call("POST", "/v1/rerank", json={"query": QUESTION, "documents": ["The limit.", "Days."]})
        yield "embeddings", call("POST", "/v1/embeddings", json={"input": QUESTION})
        for receipt in self.receipts:
            yield "receipt", call("GET", f"/v1/receipts/{receipt}")
            yield "receipt page", call("GET", f"/receipts/{receipt}")
        for receipt in (self.receipts[0], self.receipts[-1]):
            yield "replay", call("POST", f"/v1/receipts/{receipt}/replay")
            yield "feedback", call("POST", "/v1/feedback", json={"receipt_id": receipt, "rating": "up"})

    def _tool(self, call: Callable[..., str], name: str, **arguments) -> str:
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
        return call("POST", "/mcp", json=message, headers={"accept": "application/json, text/event-stream"})


def word() -> str:
    """A word that occurs nowhere else: letters alone, so that no tokenizer cuts it."""
    return "".join(secrets.choice("bcdfghjklmnpqrstvwxz") for _ in range(14))


HR = frozenset({"hr"})


@given(documents=DOCUMENTS, askers=ASKERS, changes=CHANGES)
@example(
    documents=[
        Stored("north", HR, "one"),
        Stored("north", HR, "one", copies=0),
        Stored("north", frozenset(), "two"),
        Stored("south", HR, "one", copies=0),
    ],
    askers=[Asker("north", HR), Asker("south", HR), Asker("north", frozenset())],
    changes=[(0, "delete"), (1, frozenset({"law"})), (2, HR)],
)
@settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_no_route_shows_a_foreign_word_before_or_after_changes(product, client, documents, askers, changes):
    world = World(product, client)
    for document in documents:
        world.add(document)
    for asker in askers:
        assert set().union(*world.check(asker).values()) <= world.allowed(asker)
    for at, change in changes:
        world.change(at, change)
    for asker in askers:
        assert set().union(*world.check(asker).values()) <= world.allowed(asker)


def test_the_check_itself_sees_what_is_allowed_on_every_route_that_has_it(product, client):
    """Else nothing would ever be found."""
    world = World(product, client)
    world.add(Stored("north", HR, "one"))
    world.add(Stored("north", frozenset(), "two"))
    world.add(Stored("south", HR, "one"))
    insider, colleague, stranger = Asker("north", HR), Asker("north", frozenset()), Asker("east", HR)
    silent = {"GET /v1/models", "GET /v1/session", "rerank", "embeddings", "replay", "feedback"}
    seen = world.check(insider)
    assert {label for label, words in seen.items() if not words} == silent
    assert set().union(*seen.values()) == world.allowed(insider)
    assert len(world.allowed(insider)) == 8
    assert set().union(*world.check(colleague).values()) == set(world.documents[1].words)
    assert not any(world.check(stranger).values())
    world.change(0, "delete")
    assert set().union(*world.check(insider).values()) == set(world.documents[1].words)


def test_a_receipt_stops_quoting_a_document_that_its_owner_may_not_read_any_more(product, client):
    world, asker = World(product, client), Asker("north", frozenset({"hr"}))
    world.add(Stored("north", frozenset({"hr"}), "one"))
    (document,) = world.documents
    ask = {"messages": [{"role": "user", "content": QUESTION}]}
    answer = client.post("/v1/chat/completions", json=ask, headers=world.headers(asker)).json()
    path = f"/v1/receipts/{answer['assay']['receipt_id']}"
    assert document.words[0] in client.get(path, headers=world.headers(asker)).text
    world.change(0, frozenset({"law"}))
    assert document.words[0] not in client.get(path, headers=world.headers(asker)).text
    world.change(0, frozenset({"hr"}))
    assert document.words[0] in client.get(path, headers=world.headers(asker)).text


@pytest.mark.parametrize("token", ["", "nonsense", "ask_0000000000000000_secret"])
def test_without_a_valid_key_nothing_is_shown(product, client, token):
    world, insider = World(product, client), Asker("north", frozenset({"hr"}))
    world.add(Stored("north", frozenset(), "one"))
    world.headers(insider)  # from the first key on, nobody is let in without one
    headers = {"authorization": f"Bearer {token}"} if token else {}
    for label, body in world._answers(insider, headers):
        assert not any(w in body for w in world.documents[0].words), label
