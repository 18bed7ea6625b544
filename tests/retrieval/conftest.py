"""A small store over the hashing embedder: fast, deterministic, everything else real."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from data.records import EVERYONE, Query, SearchResult
from retrieval.catalog import Catalog
from retrieval.config import IndexConfig, IngestConfig, SearchConfig
from retrieval.embedding import HashingEmbedder
from retrieval.ingest import Destination, Ingester, IngestEvent, ReadSource
from retrieval.keeper import Keeper
from retrieval.search import Searcher, retrieve
from tests.databases import new_database


@dataclass
class Library:
    folder: Path
    index: IndexConfig = field(default_factory=IndexConfig)

    def __post_init__(self):
        self.database = new_database(self.folder / "a.db")
        self.catalog = Catalog(self.database)
        self.embedder = HashingEmbedder()
        self.ingester = Ingester(self.catalog, lambda: self.embedder, IngestConfig())
        self.keeper = self.new_keeper()

    def new_keeper(self) -> Keeper:
        return Keeper(self.catalog, self.folder / "index", lambda: (self.embedder.id, self.embedder.dim), self.index)

    def add(
        self, texts: dict[str, str], *, tenant="default", collection="c", groups=(), metadata=None
    ) -> list[IngestEvent]:
        """Store texts by uri and bring the index up to date."""
        sources = [source(uri, text, groups, metadata or {}) for uri, text in texts.items()]
        events = list(self.ingester.run(sources, Destination(tenant, collection)))
        self.keeper.catch_up()
        return events

    def remove(self, uri: str, *, tenant="default", collection="c") -> None:
        list(self.ingester.remove({uri: self.catalog.id_of(tenant, collection, uri)}))
        self.keeper.catch_up()

    def search(self, text: str, **query) -> SearchResult:
        searcher = Searcher(self.catalog, lambda t: self.embedder.embed([t], kind="query")[0], SearchConfig())
        return retrieve(Query(text=text, **query), self.keeper.snapshot(), searcher)

    def found(self, text: str, **query) -> list[str]:
        return [hit.sources[0].uri for hit in self.search(text, **query).hits]

    def close(self):
        self.keeper.close()
        self.database.close()


def source(uri: str, text: str, groups: Iterable[str] = (), metadata: dict | None = None) -> ReadSource:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ReadSource(
        uri, uri, text, digest, len(text), "text/plain", frozenset(groups) or frozenset({EVERYONE}), metadata or {}
    )


@pytest.fixture
def library(tmp_path):
    made = Library(tmp_path)
    yield made
    made.close()
