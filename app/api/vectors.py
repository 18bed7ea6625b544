"""`POST /v1/embeddings` (OpenAI's shape) and `POST /v1/rerank` (Jina's and Cohere's)."""

import base64
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from app.api.access import Reader
from app.api.chat import ModelNotFound
from app.api.config import ApiConfig
from app.api.replies import json_reply
from app.api.service import Served
from app.api.wire import Name, OpenRequest, Text, check_question
from data.errors import InvalidInput

router = APIRouter(prefix="/v1", tags=["retrieval"])
DEFAULT_EMBEDDER = "assay-embedding"
DEFAULT_RERANKER = "assay-reranker"
NO_USAGE = {"prompt_tokens": 0, "total_tokens": 0}
"""Embedding is local and free; its tokens are not counted."""


class EmbeddingsRequest(OpenRequest):
    model: Name = DEFAULT_EMBEDDER
    """`assay-embedding`, or the id of the active embedding model."""
    input: Text | Annotated[list[Text], Field(min_length=1)]
    encoding_format: Literal["float", "base64"] = "float"
    input_type: Literal["document", "query"] = "document"
    dimensions: int | None = None


class Embedding(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingList(BaseModel):
    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: dict[str, int]


class RerankText(OpenRequest):
    text: Text


class RerankRequest(OpenRequest):
    model: Name = DEFAULT_RERANKER
    query: Text
    documents: Annotated[list[Text | RerankText], Field(min_length=1)]
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool = True

    @property
    def texts(self) -> list[str]:
        return [d if isinstance(d, str) else d.text for d in self.documents]


class RerankResult(BaseModel):
    index: int
    relevance_score: float
    document: dict[str, str] | None = None


class Reranking(BaseModel):
    model: str
    results: list[RerankResult]
    usage: dict[str, int]


@router.post("/embeddings", response_model=EmbeddingList)
async def embeddings(body: EmbeddingsRequest, _: Reader, served: Served) -> Response:
    """Unit vectors of the active embedding model."""
    texts = [body.input] if isinstance(body.input, str) else body.input
    _check_texts(texts, served.config, "input")
    active = await served.workers.run_aside(served.product.embedder)
    if body.model not in (DEFAULT_EMBEDDER, active):
        raise ModelNotFound(
            f"There is no embedding model {body.model!r}.", next_step=f"Use {DEFAULT_EMBEDDER} or {active}."
        )
    vectors = await served.workers.run(served.assay.embed, texts, body.input_type)
    if body.dimensions not in (None, vectors.shape[1]):
        raise InvalidInput(
            f"dimensions is {body.dimensions}; this model has {vectors.shape[1]}.",
            field="dimensions",
            next_step="Leave it out.",
        )
    encode = _base64 if body.encoding_format == "base64" else np.ascontiguousarray
    data = [{"object": "embedding", "index": n, "embedding": encode(row)} for n, row in enumerate(vectors)]
    return json_reply({"object": "list", "model": active, "data": data, "usage": NO_USAGE})


@router.post("/rerank", response_model=Reranking)
async def rerank(body: RerankRequest, _: Reader, served: Served) -> Response:
    """Order texts by how well they answer the query, the best first."""
    question = check_question(body.query, served.config, field="query")
    texts = body.texts
    _check_texts(texts, served.config, "documents")
    if body.model != DEFAULT_RERANKER:
        raise ModelNotFound(f"There is no reranker {body.model!r}.", next_step=f"Use {DEFAULT_RERANKER}.")
    scores = await served.workers.run(served.assay.rerank, question, texts)
    best = sorted(range(len(texts)), key=lambda n: (-scores[n], n))[: body.top_n]
    results = [_result(n, scores[n], texts[n] if body.return_documents else None) for n in best]
    return json_reply({"model": body.model, "results": results, "usage": NO_USAGE})


def _result(index: int, score: float, text: str | None) -> dict[str, Any]:
    result: dict[str, Any] = {"index": index, "relevance_score": float(score)}
    return result if text is None else result | {"document": {"text": text}}


def _base64(row: np.ndarray) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


def _check_texts(texts: list[str], config: ApiConfig, field: str) -> None:
    if len(texts) > config.max_texts:
        raise InvalidInput(
            f"There are {len(texts)} texts; the most is {config.max_texts}.",
            field=field,
            next_step="Send them in several requests.",
        )
    for n, text in enumerate(texts):
        if not text.strip():
            raise InvalidInput(f"Text {n} is empty.", field=field, next_step="Leave it out.")
        if len(text) > config.max_text_chars:
            raise InvalidInput(
                f"Text {n} has {len(text)} characters; the most is {config.max_text_chars}.",
                field=field,
                next_step="Shorten or split it.",
            )
