"""A judged collection in a store of its own, filled through the product's ingest and asked through its search."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.eval_stores import filled_store, fingerprint
from app.settings import load_settings
from data.records import EVERYONE, Query, SearchMode
from evals.retrieval import CorpusDocument, JudgedCollection, Search
from retrieval.ingest import Destination, ReadSource
from retrieval.reranking import rerank

if TYPE_CHECKING:
    from app.assay import Assay

WARM_UP = 10
"""Questions asked before time is taken: memory maps, caches and the encoder's first run."""


@contextmanager
def judged_store(collection: JudgedCollection, report: Callable[[int], None] = lambda _: None) -> Iterator["Assay"]:
    """An opened `Assay` that holds the collection's documents. `report` hears the number stored so far.

    Interrupted, the next call goes on: vectors that were committed are not computed again.
    """
    settings = load_settings()
    name = f"beir-{fingerprint([[d.id, d.title, d.text] for d in collection.documents], settings)}"
    with filled_store(settings, name, lambda assay: _fill(assay, collection, report)) as assay:
        assay.start()
        for question in list(collection.queries.values())[:WARM_UP]:
            search_of(assay, SearchMode.HYBRID)(question, 10)
        yield assay


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


class Reranked:
    """The reranked hits as a ranking of document ids; `took_ms` is what putting them in order took, question by question."""

    def __init__(self, assay: "Assay", collection: JudgedCollection) -> None:
        self._assay = assay
        self._unranked = search_of(assay, SearchMode.HYBRID)
        self.took_ms: list[float] = []
        for question in list(collection.queries.values())[:WARM_UP]:
            self(question, 10)
        self.took_ms.clear()

    def __call__(self, question: str, k: int) -> list[str]:
        if not question.strip():
            return []
        config = self._assay.stores.search
        result = self._assay.searches.retrieve(Query(text=question, k=config.rerank), asks_neighbours=True)
        began = time.perf_counter()
        hits = rerank(question, result.hits, self._assay.reranker, config.rerank, config.reads)
        took = (time.perf_counter() - began) * 1000 + result.timings_ms.get("neighbours", 0.0)
        self.took_ms.append(took)
        found = list(dict.fromkeys(_document_id(s.uri) for hit in hits for s in hit.sources))
        return found[:k] if len(found) >= k else list(dict.fromkeys([*found, *self._unranked(question, k)]))[:k]


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
