"""Builds the product from settings; with `app.commands` the only place that imports adapters, and only when called."""

from typing import TYPE_CHECKING

from app.settings import Settings
from data.database import Database
from retrieval.embedding import Embedder

if TYPE_CHECKING:
    from app.assay import Assay


def open_assay(settings: Settings) -> "Assay":
    """Open database, indexes and models. Cheap: weights and indexes load at first use or in `start()`."""
    from data.reading import Reader

    from app.assay import Assay, Stores
    from app.encoders import Encoders
    from retrieval.catalog import Catalog
    from retrieval.ingest import Ingester
    from retrieval.keeper import Keeper

    database = open_database(settings)
    catalog = Catalog(database)
    encoders = Encoders(database, lambda model: build_encoder(settings, model), settings.encoder.model)

    def active() -> tuple[str, int]:
        spec = encoders.spec()
        return spec.id, spec.dim

    return Assay(
        Stores(
            database=database,
            catalog=catalog,
            keeper=Keeper(catalog, settings.var / "index", active, settings.index),
            encoders=encoders,
            ingester=Ingester(catalog, encoders.active, settings.ingest),
            reader=Reader(settings.reading),
            search=settings.search,
            var=settings.var,
        )
    )


def open_database(settings: Settings) -> Database:
    settings.var.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    database.migrate()
    return database


def build_encoder(settings: Settings, model: str) -> Embedder:
    if model:
        from serving.local.hub_encoder import SentenceTransformerEncoder

        return SentenceTransformerEncoder(model)
    from serving.local.encoder import MiniLMEncoder

    return MiniLMEncoder(settings.encoder, cache=settings.var / "models")
