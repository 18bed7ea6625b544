"""The real product over the hashing embedder, with a fake or no generating model: fast, deterministic, everything else real."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
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
from tests.databases import put_schema

LEAVE = """# Parental leave

Parents may take twenty-two weeks of parental leave at full pay. Part-timers get parental leave in proportion to their hours.

The leave may be split into three blocks.
"""
TEA = "# Kitchen\n\nTea is free in every kitchen. Coffee costs forty cents a cup.\n"
ASKER = Principal(subject="ada")


@contextmanager
def told_product(home: Path, **settings) -> Iterator[Assay]:
    """An opened `Assay` in `home` that holds `leave.md` and `tea.md`, as `put` stores them."""
    shutil.copytree(_told(), home / "var", dirs_exist_ok=True)
    with product(home, **settings) as assay:
        yield assay


@cache
def _told() -> Path:
    """A `var` folder with the two documents stored and indexed, once in a test run: copying it is ten times as fast."""
    folder = tempfile.TemporaryDirectory(prefix="told-")
    _kept.append(folder)
    with product(Path(folder.name)) as assay:
        put(assay, "leave.md", LEAVE)
        put(assay, "tea.md", TEA)
    return Path(folder.name) / "var"


_kept: list[tempfile.TemporaryDirectory] = []


@contextmanager
def product(home: Path, **settings) -> Iterator[Assay]:
    """An opened `Assay` in `home`; what was stored there before is there again. `settings` are those of `Settings`."""
    chosen = Settings(home=home, **{"reader": ReaderConfig(threshold=0.1)} | settings)
    put_schema(chosen.var / "assay.db")
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
