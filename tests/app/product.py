"""The whole product over the hashing embedder and a database of its own: everything else is real. Imported by tests."""

import atexit
from functools import cache
from pathlib import Path

from app.assay import Assay, Stores
from app.encoders import Encoders
from data.database import Database
from data.reading import Reader, ReadingConfig
from retrieval.catalog import Catalog
from retrieval.config import IndexConfig, IngestConfig, SearchConfig
from retrieval.embedding import HashingEmbedder, Vectors
from retrieval.ingest import Ingester
from retrieval.keeper import Keeper
from tests.databases import new_database


class CountingEmbedder(HashingEmbedder):
    """Keeps every document text that it was asked to embed."""

    def __init__(self, dim: int = 64) -> None:
        super().__init__(dim)
        self.texts: list[str] = []

    def embed(self, texts, *, kind="document") -> Vectors:
        self.texts += texts if kind == "document" else []
        return super().embed(texts, kind=kind)


@cache
def _converting() -> Reader:
    """The processes that convert for all products of a test run: starting one takes a second."""
    reader = Reader(ReadingConfig(workers=2))
    atexit.register(reader.close)
    return reader


class CountingReader(Reader):
    """Keeps the name of every file that it was asked to read."""

    def __init__(self, config: ReadingConfig) -> None:
        super().__init__(config)
        self.names: list[str] = []

    def read(self, name, content):
        self.names.append(name)
        return super().read(name, content)

    def _convert(self, name, data):
        return _converting()._convert(name, data)


def open_product(home: Path, *, database: str = "", index: IndexConfig | None = None) -> Assay:
    """An `Assay` whose model '' is a 64-dimensional and whose model 'wide' a 128-dimensional hashing embedder."""
    home.mkdir(exist_ok=True)
    store = Database(database) if database else new_database(home / "assay.db")
    store.migrate()
    catalog = Catalog(store)
    encoders = Encoders(store, lambda model: CountingEmbedder(128 if model == "wide" else 64))

    def active() -> tuple[str, int]:
        return encoders.spec().id, encoders.spec().dim

    def no_answers(assay: Assay):
        raise NotImplementedError("this product only searches")

    return Assay(
        Stores(
            database=store,
            catalog=catalog,
            keeper=Keeper(catalog, home / "index", active, index),
            encoders=encoders,
            ingester=Ingester(catalog, encoders.active, IngestConfig()),
            reader=CountingReader(ReadingConfig(workers=2)),
            search=SearchConfig(),
            var=home,
            make_rag=no_answers,
        )
    )
