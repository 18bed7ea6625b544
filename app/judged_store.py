"""A judged collection in a store of its own, filled through the product's ingest and asked through its search.

Stores are kept by the hash of what they hold and how it was cut and embedded, so that a second run asks at once. Never
touches the user's database: the store is always SQLite in its own folder.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr

from app.settings import Settings, load_settings
from app.wiring import open_assay
from data.records import EVERYONE, Query, SearchMode
from evals.retrieval import CorpusDocument, JudgedCollection, Search
from retrieval.ingest import Destination, ReadSource

if TYPE_CHECKING:
    from app.assay import Assay

COMPLETE = "complete"
WARM_UP = 10
"""Questions asked before time is taken: memory maps, caches and the encoder's first run."""


@contextmanager
def judged_store(collection: JudgedCollection, report: Callable[[int], None] = lambda _: None) -> Iterator["Assay"]:
    """An opened `Assay` that holds the collection's documents. `report` hears the number stored so far.

    Interrupted, the next call goes on: vectors that were committed are not computed again.
    """
    settings = load_settings()
    home = settings.var / "eval" / f"beir-{_fingerprint(collection, settings)}"
    store = load_settings(home=home, database_url=SecretStr(""))
    store.var.mkdir(parents=True, exist_ok=True)
    _share_models(settings, store)
    assay = open_assay(store)
    try:
        if not (home / COMPLETE).exists():
            _fill(assay, collection, report)
            (home / COMPLETE).touch()
        assay.start()
        for question in list(collection.queries.values())[:WARM_UP]:
            search_of(assay, SearchMode.HYBRID)(question, 10)
        yield assay
    finally:
        assay.close()


def search_of(assay: "Assay", mode: SearchMode) -> Search:
    """The product's search as a ranking of document ids: a document stands where its best chunk stands."""

    def search(question: str, k: int) -> list[str]:
        if not question.strip():
            return []
        n_chunks = k
        while True:
            hits = assay.search(Query(text=question, k=n_chunks, mode=mode)).hits
            found = dict.fromkeys(_document_id(s.uri) for hit in hits for s in hit.sources)
            if len(found) >= k or len(hits) < n_chunks or n_chunks >= 1000:
                return list(found)[:k]
            n_chunks = min(1000, 4 * n_chunks)

    return search


def _fill(assay: "Assay", collection: JudgedCollection, report: Callable[[int], None]) -> None:
    sources = (_source(document) for document in collection.documents)
    for n, _ in enumerate(assay.stores.ingester.run(sources, Destination("default", "beir")), 1):
        report(n)
    assay.settle()


def _source(document: CorpusDocument) -> ReadSource:
    text = document.text if document.text.strip() else document.title
    digest = hashlib.sha256(f"{document.title}\0{text}".encode()).hexdigest()
    uri = f"beir:{document.id}"
    return ReadSource(uri, document.title, text, digest, len(text), "text/plain", frozenset({EVERYONE}))


def _document_id(uri: str) -> str:
    return uri.removeprefix("beir:")


def _fingerprint(collection: JudgedCollection, settings: Settings) -> str:
    held = [(d.id, d.title, d.text) for d in collection.documents]
    made = [settings.ingest.chunking.model_dump(), settings.encoder.model_dump(exclude={"threads"})]
    return hashlib.sha256(json.dumps([held, made]).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _share_models(settings: Settings, store: Settings) -> None:
    """Let all stores use the encoder's graphs that were built once."""
    (settings.var / "models").mkdir(parents=True, exist_ok=True)
    if not (store.var / "models").exists():
        (store.var / "models").symlink_to((settings.var / "models").resolve(), target_is_directory=True)
