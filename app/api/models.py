"""`GET /v1/models`: the names that `model` may have."""

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from app.api.access import Reader
from app.api.chat import ModelNotFound
from app.api.replies import json_reply
from app.api.service import Served

router = APIRouter(prefix="/v1", tags=["models"])


class Model(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[Model]


@router.get("/models", response_model=ModelList)
async def list_models(_: Reader, served: Served) -> Response:
    """`assay` answers as configured, `assay-extractive` without a language model; then configured models and
    adapters, each by name (the version that is live for the caller) and by name@version."""
    return json_reply({"object": "list", "data": [_model(name) for name in served.models]})


@router.get("/models/{model:path}", response_model=Model)
async def get_model(model: str, _: Reader, served: Served) -> Response:
    if model not in served.models:
        raise ModelNotFound(f"There is no model {model!r}.", next_step=f"Use one of: {', '.join(served.models)}.")
    return json_reply(_model(model))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "assay"}
