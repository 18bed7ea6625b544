"""Builds the product from settings; with `app.commands` the only place that imports adapters, and only when called."""

from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from app.settings import Settings
from data.database import Database
from data.errors import InvalidInput, MissingExtra
from data.records import Hit
from retrieval.embedding import Embedder

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from app.assay import Assay
    from app.grounding import Grounder
    from app.guards import Guard
    from app.once import Once
    from app.prediction import Explain, Predictions
    from app.rag import Rag
    from app.rollout import AnswerRollout
    from app.watch import RequestWatch, Toxicity
    from data.records import Receipt
    from evals.likelihood_model import LocalLikelihood
    from evals.scorers.registry import Tool, Tools
    from evals.tracking import EvalTracker
    from serving.llm import Generator
    from serving.local.shipped_heads import ShippedHeads
    from serving.registry import AdapterRegistry
    from serving.rollout.engine import RolloutEngine

VERSION = "0.1.0"
IMPORTANCE_ROWS = 1000
"""Held-out rows that a model's explanation is about."""


def open_assay(settings: Settings) -> "Assay":
    """Open database, indexes and models. Cheap: weights and indexes load at first use or in `start()`."""
    from app.assay import Assay, Stores
    from app.encoders import Encoders
    from data.reading import Reader
    from retrieval.catalog import Catalog
    from retrieval.ingest import Ingester
    from retrieval.keeper import Keeper

    database = open_database(settings)
    catalog = Catalog(database)
    heads = cache(lambda: build_heads(settings))
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
            make_rag=lambda assay: build_rag(settings, assay),
            rollout=build_rollout(settings, database),
            make_heads=heads,
            watch=build_watch(settings, database, heads),
        )
    )


def open_database(settings: Settings) -> Database:
    """Raises: InvalidInput without room for `var/`, MissingExtra without a driver, InfrastructureError without an answer."""
    try:
        settings.var.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"{settings.var} cannot be made: {error.strerror}.",
            field="home",
            next_step="Set ASSAY_HOME to a folder that you may write to.",
        ) from error
    try:
        database = Database(settings.database)
    except ModuleNotFoundError as error:
        raise MissingExtra("psycopg", extra="postgres") from error
    database.migrate()
    return database


def build_encoder(settings: Settings, model: str) -> Embedder:
    if model:
        from serving.local.hub_encoder import SentenceTransformerEncoder

        return SentenceTransformerEncoder(model)
    from serving.local.encoder import MiniLMEncoder

    return MiniLMEncoder(settings.encoder, cache=settings.var / "models")


def build_heads(settings: Settings) -> "ShippedHeads":
    """The adapters that ship, or those of the settings, over one backbone. Cheap: they load when first asked."""
    from serving.local.shipped_heads import ShippedHeads

    return ShippedHeads(settings.heads, cache=settings.var / "models")


def build_rag(settings: Settings, assay: "Assay") -> "Rag":
    """The graph that answers, over an opened product."""
    from app.rag import Rag, RagParts
    from retrieval.reranking import rerank
    from serving.local.reader import ExtractiveReader

    reranker, heads = assay.reranker, assay.heads
    spans = heads.reader if heads and settings.reader.weight_spans else None

    ordered_by = {"reranker": reranker.id} if reranker else {}

    def reranked(question: str, hits: tuple[Hit, ...], k: int) -> tuple[Hit, ...]:
        return rerank(question, hits, reranker, k, settings.search.reads) if reranker else hits[:k]

    return Rag(
        RagParts(
            retrieve=partial(assay.searches.retrieve, asks_neighbours=reranker is not None),
            rerank=reranked,
            reader=ExtractiveReader(
                lambda texts, kind: assay.embed(texts, kind),
                settings.reader,
                spans.log_odds if spans else None,
                spans.id if spans else "",
            ),
            grounder=build_grounder(settings, heads),
            guard=build_guard(heads),
            text_of=lambda principal: cache(lambda identity: assay.document(identity, principal).text),
            save=_saved_and_seen(assay),
            generator=build_generator(settings),
            checkpointer=build_checkpointer(settings, assay.stores.database),
            screening=settings.screening,
            versions=lambda: {"assay": VERSION, "embedder": assay.keeper.snapshot().embedder} | ordered_by,
            depth=settings.search.rerank if reranker else 0,
        )
    )


def build_watch(
    settings: Settings, database: Database, heads: Callable[[], "ShippedHeads | None"] = lambda: None
) -> "RequestWatch | None":
    """The request log's near end; None where no request is to be logged."""
    from app.watch import RequestWatch
    from evals.drift.requests import RequestStore

    def toxicity() -> "Toxicity | None":
        return screen.probabilities if (found := heads()) and (screen := found.toxicity) else None

    return RequestWatch(RequestStore(database), settings.watch, toxicity) if settings.watch.share else None


def _saved_and_seen(assay: "Assay") -> Callable[["Receipt"], None]:
    """Keeps a receipt, then lets the watch see it."""

    def save(receipt: "Receipt") -> None:
        assay.receipts.save(receipt)
        if assay.stores.watch is not None:
            assay.stores.watch.seen(receipt)

    return save


def build_grounder(settings: Settings, heads: "ShippedHeads | None") -> "Grounder":
    """By the adapter where the settings want it and it is there."""
    from serving.local.grounder import LexicalGrounder, TrainedGrounder

    if heads is None or not settings.heads.grounds or (head := heads.grounding) is None:
        return LexicalGrounder()
    return TrainedGrounder(head.supports, head.threshold, head.id)


def build_guard(heads: "ShippedHeads | None") -> "Guard":
    """The trained screens that are there, each text judged once."""
    from app.guards import Guard, Remembered

    if heads is None:
        return Guard()
    screens = [screen for screen in (heads.injection, heads.toxicity) if screen is not None]
    return Guard(
        injection=Remembered(heads.injection.probabilities) if heads.injection else None,
        toxicity=Remembered(heads.toxicity.probabilities) if heads.toxicity else None,
        id=" ".join(screen.id for screen in screens),
    )


def build_rollout(settings: Settings, database: Database) -> "AnswerRollout | None":
    """Adapters answer where there is a server that has them loaded."""
    if not settings.llm.base_url:
        return None
    from app.rollout import AnswerRollout, Generators
    from serving.rollout.engine import RolloutEngine

    def build(ref: str) -> "Generator":
        from serving.llm import build_generator as build_one

        return build_one(settings.llm.model_copy(update={"model": ref}))

    return AnswerRollout(RolloutEngine(database, settings.rollout), Generators(build))


def build_predictions(settings: Settings, assay: "Assay") -> "Once[Predictions]":
    """Tabular models, over the same rollout engine as adapters. Nothing is imported before the first prediction."""
    from app.once import Once

    rollout = assay.stores.rollout
    return Once(lambda: open_predictions(settings, assay.stores.database, rollout.engine if rollout else None))


def open_predictions(settings: Settings, database: Database, engine: "RolloutEngine | None" = None) -> "Predictions":
    """Raises: MissingExtra without the packages of tabular models."""
    try:
        from app.prediction import Predictions
        from serving.tabular.model_store import ModelStore
        from serving.tabular.prediction_log import PredictionLog
        from serving.tabular.prediction_store import PredictionStore
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "pandas", extra="tabular") from error
    from serving.rollout.engine import RolloutEngine

    return Predictions(
        ModelStore(settings.tabular_models),
        engine or RolloutEngine(database, settings.rollout),
        PredictionLog(PredictionStore(database), settings.tabular),
        settings.tabular,
        owns_engine=engine is None,
        explain=build_explain(),
    )


def build_explain() -> "Explain":
    """SHAP contributions, imported when they are first asked for."""
    from app.prediction import Explain

    def row(model: Any, row: Any) -> dict[str, Any]:
        from evals.tabular.explanation import explain_row

        return asdict(explain_row(model, row))

    def importance(model: Any) -> dict[str, float]:
        from evals.tabular.explanation import Explainer

        return Explainer(model).rows(model.reference.head(IMPORTANCE_ROWS)).importance

    return Explain(row, cache(importance))


def build_eval_tools(settings: Settings, assay: "Assay | None" = None) -> "Tools":
    """The models that scorers may ask, each loaded when it is first asked. `assay` lends its encoder where there is one."""
    from evals.scorers.registry import Tool, Tools

    heads = assay.heads if assay is not None else build_heads(settings)
    screens = {
        name: Tool(screen.id, screen.probabilities)
        for name in ("toxicity", "injection")
        if heads is not None and (screen := getattr(heads, name)) is not None
    }
    if settings.evals.detoxify:
        screens["toxicity"] = build_detoxify(settings)
    others = _supports(heads) | ({"judge": settings.evals.judge} if settings.evals.judge.url else {})
    if assay is not None:
        return Tools(embed=Tool(assay.embedder.id, assay.embed), others=others, **screens)
    encoder = build_encoder(settings, settings.encoder.model)
    embed = Tool(encoder.id, lambda texts: encoder.embed(texts, kind="document"))
    return Tools(embed=embed, others=others, **screens)


def build_detoxify(settings: Settings) -> "Tool":
    """Raises: MissingExtra without detoxify, InvalidInput when its checkpoint is not there."""
    from evals.scorers.registry import Tool

    checkpoint = settings.evals.detoxify
    if checkpoint is None or not checkpoint.is_file():
        raise InvalidInput(f"There is no Detoxify checkpoint at {checkpoint}.", field="detoxify")
    try:
        from evals.scorers.detoxify_model import DetoxifyModel
    except ImportError as error:
        raise MissingExtra("detoxify", extra="evals") from error
    model = DetoxifyModel(checkpoint, settings.evals.detoxify_files)
    return Tool(model.id, model)


def _supports(heads: "ShippedHeads | None") -> dict[str, Any]:
    """What tells whether a premise supports a sentence, and from where on: the grounding adapter, else shared words."""
    from evals.scorers.registry import Tool
    from serving.local.grounder import LexicalGrounder

    if heads is not None and (head := heads.grounding) is not None:
        return {"supports": Tool(head.id, head.supports), "supports_threshold": head.threshold}
    words = LexicalGrounder()
    lexical = Tool(words.id, lambda pairs: [words.support(said, [quote])[0] for quote, said in pairs])
    return {"supports": lexical, "supports_threshold": words.threshold}


def build_likelihood(path: str) -> "LocalLikelihood":
    """Raises: MissingExtra without transformers, InvalidInput when no language model is at `path`."""
    try:
        from evals.likelihood_model import LocalLikelihood
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "transformers", extra="finetune") from error
    return LocalLikelihood.load(path)


def build_eval_tracker(settings: Settings) -> "EvalTracker":
    """Raises: MissingExtra without mlflow."""
    try:
        from evals.tracking import EvalTracker
    except ModuleNotFoundError as error:
        raise MissingExtra("mlflow", extra="evals") from error
    return EvalTracker(settings.mlflow)


def build_registry(settings: Settings) -> "AdapterRegistry":
    try:
        from serving.registry_mlflow import MlflowRegistry
    except ImportError as error:
        raise MissingExtra("mlflow", extra="registry") from error
    return MlflowRegistry(settings.mlflow)


def build_generator(settings: Settings) -> "Generator | None":
    if not settings.llm.model:
        return None
    from serving.llm import build_generator as build

    return build(settings.llm)


def build_checkpointer(settings: Settings, database: Database) -> "BaseCheckpointSaver":
    """LangGraph's own tables, in the same database."""
    if database.is_sqlite:
        from app.sqlite_conversations import open_conversations

        return open_conversations(str(database.engine.url.database))
    from app.postgres_conversations import open_conversations

    return open_conversations(settings.database)
