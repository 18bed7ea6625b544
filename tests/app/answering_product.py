"""The real product over the hashing embedder, with a fake or no generating model: fast, deterministic, everything else real."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from app.assay import Assay, Placement, Stores
from app.encoders import Encoders
from app.settings import Settings
from app.wiring import build_rag, open_database
from data.reading import Reader
from data.records import Answer, AnswerEvent, EventType, Principal
from retrieval.catalog import Catalog
from retrieval.config import IndexConfig, IngestConfig, SearchConfig
from retrieval.embedding import HashingEmbedder
from retrieval.ingest import Ingester
from retrieval.keeper import Keeper
from serving.config_llm import LLMConfig
from serving.llm import Generator
from serving.local.reader import ReaderConfig

LEAVE = """# Parental leave

Parents may take twenty-two weeks of parental leave at full pay. Part-timers get parental leave in proportion to their hours.

The leave may be split into three blocks.
"""
TEA = "# Kitchen\n\nTea is free in every kitchen. Coffee costs forty cents a cup.\n"
ASKER = Principal(subject="ada")


@contextmanager
def product(home: Path, **settings) -> Iterator[Assay]:
    """An opened `Assay` in `home`; what was stored there before is there again. `settings` are those of `Settings`."""
    chosen = Settings(home=home, **{"reader": ReaderConfig(threshold=0.1)} | settings)
    database = open_database(chosen)
    catalog, embedder = Catalog(database), HashingEmbedder(256)
    encoders = Encoders(database, lambda model: embedder)
    stores = Stores(
        database=database,
        catalog=catalog,
        keeper=Keeper(catalog, chosen.var / "index", lambda: (embedder.id, embedder.dim), IndexConfig()),
        encoders=encoders,
        ingester=Ingester(catalog, encoders.active, IngestConfig()),
        reader=Reader(),
        search=SearchConfig(),
        var=chosen.var,
        make_rag=lambda assay: build_rag(chosen, assay),
    )
    assay = Assay(stores)
    try:
        yield assay
    finally:
        assay.close()


def with_model(assay: Assay, model: BaseChatModel, **config) -> Generator:
    """Have `model` write the answers of an opened product."""
    generator = Generator(model, LLMConfig(model="fake", **config))
    assay.rag = type(assay.rag)(replace(assay.rag.parts, generator=generator))
    return generator


def put(assay: Assay, name: str, text: str, **placement) -> str:
    """Store one document and return its id."""
    document, _ = assay.add_document(name, text.encode(), Placement(**placement))
    return document.id


def events(assay: Assay, question: str, principal: Principal = ASKER, **options) -> list[AnswerEvent]:
    return list(assay.ask(question, principal=principal, **options))


def answer(assay: Assay, question: str, principal: Principal = ASKER, **options) -> Answer:
    last = events(assay, question, principal, **options)[-1]
    assert last.type is EventType.FINAL
    return last.answer
