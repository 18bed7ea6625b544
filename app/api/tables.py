"""Tabular models: predict, explain, labels, schema; the Open Inference Protocol v2 and MLflow's `/invocations` over the same predictor."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import structlog
from fastapi import APIRouter, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json

from app.api.access import Reader, Writer
from app.api.replies import json_reply
from app.api.service import Served, Service
from app.api.wire import Name
from app.api.wire import Request as WireRequest
from data.errors import InvalidInput, NotFound
from data.records import Principal
from serving.tabular.open_inference import OUTPUT_TYPES, inferred, metadata, rows_of_invocation, rows_of_tensors

if TYPE_CHECKING:  # pandas
    from app.prediction import Predicted, Predictions

router = APIRouter(tags=["tabular"])
ModelName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]*(@[A-Za-z0-9][A-Za-z0-9._-]*)?$", max_length=200)]
"""NAME (whatever version is live for the caller), NAME@VERSION or NAME@ALIAS."""
Row = dict[str, Any]


class PredictRequest(WireRequest):
    rows: list[Row] = Field(min_length=1)
    """One JSON object per row: column names and values, as GET /v1/models/MODEL/schema describes them."""


class ExplainRequest(WireRequest):
    row: Row
    """The row to explain."""


class RowPrediction(BaseModel):
    id: str
    """Names this prediction: for labels and explanations."""
    score: float
    """The probability of the positive class."""
    decision: bool
    """Whether the score reaches the threshold."""


class PredictReply(BaseModel):
    model: str
    version: str
    digest: str
    stage: str
    """champion, canary, or pinned where the request named a version."""
    threshold: float
    positive: str
    """The value of the target that a decision of true means."""
    predictions: list[RowPrediction]


class ExplainReply(BaseModel):
    model: str
    version: str
    prediction: RowPrediction | None = None
    explanation: dict[str, Any]


class LabelRow(WireRequest):
    id: Name
    """A prediction's id, or the row's own id (the column that the table's spec names)."""
    label: bool
    """Whether it turned out positive."""
    known_at: datetime | None = None
    """When that became known; now by default."""


class LabelsRequest(WireRequest):
    labels: list[LabelRow] = Field(min_length=1, max_length=10_000)


class LabelsReply(BaseModel):
    n_labels: int
    n_predictions: int
    """Kept predictions that they are about."""


class Tensor(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


class InferReply(BaseModel):
    model_name: str
    model_version: str
    id: str
    outputs: list[Tensor]


ROWS_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


def _shaped(model: type[BaseModel]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}


@router.post("/v1/models/{name}/predict", response_model=PredictReply, openapi_extra=_shaped(PredictRequest))
async def predict(name: ModelName, request: Request, principal: Reader, served: Served) -> Response:
    """Score rows. A row that breaks its table's contract is refused with 422, every wrong field named in `error.problems`."""
    body = _validated(PredictRequest, await _json(request))
    found = await _predicted(served, name, body.rows, principal)
    return json_reply(_told(found), headers=_headers(found))


@router.post("/v1/models/{name}/explain", response_model=ExplainReply, openapi_extra=_shaped(ExplainRequest))
async def explain(name: ModelName, request: Request, _: Reader, served: Served) -> Response:
    """Score one row and say what each column adds to the score."""
    body = _validated(ExplainRequest, await _json(request))
    predictions = await _predictions(served)
    found, explanation = await served.workers.run(predictions.explain, name, body.row, _request_id())
    told = {"model": found.predictor.name, "version": found.predictor.version, "prediction": _rows_told(found)[0]}
    return json_reply(told | {"explanation": explanation}, headers=_headers(found))


@router.get("/v1/models/{name}/explain", response_model=ExplainReply)
async def explain_kept(
    name: ModelName,
    principal: Reader,
    served: Served,
    id: Annotated[str, Query(max_length=200, description="A prediction's id; without it, the model as a whole.")] = "",
) -> Response:
    """Explain a prediction that was kept, by the version that made it; or say what moves the model's scores on the whole."""
    predictions = await _predictions(served)
    if not id:
        predictor, importance = await served.workers.run(predictions.importance, name)
        told = {"importance": importance, "rows": "held-out"}
        return json_reply({"model": predictor.name, "version": predictor.version, "explanation": told})
    kept, explanation = await served.workers.run(predictions.explain_kept, id, principal)
    if kept.model != name.partition("@")[0]:
        raise NotFound(f"The prediction {id!r} is none of {name}.", next_step=f"It is of {kept.model}.")
    told = {"id": kept.key, "score": kept.score, "decision": kept.decision}
    return json_reply(
        {"model": kept.model, "version": kept.version, "prediction": told, "explanation": explanation},
    )


@router.get("/v1/models/{name}/schema", response_model=dict[str, Any])
async def schema(name: ModelName, _: Reader, served: Served) -> Response:
    """What a row may hold, as JSON Schema, made from the table's contract."""
    predictions = await _predictions(served)
    predictor = await served.workers.run(predictions.describe, name)
    return json_reply(predictor.contract.json_schema())


@router.post("/v1/models/{name}/labels", response_model=LabelsReply)
async def add_labels(name: ModelName, body: LabelsRequest, principal: Writer, served: Served) -> Response:
    """Say what became known of predictions: performance, estimates and running trials are checked against it."""
    predictions = await _predictions(served)
    n = await served.workers.run(_learn, predictions, name.partition("@")[0], body, principal)
    return json_reply({"n_labels": len(body.labels), "n_predictions": n})


@router.post("/invocations", response_model=dict[str, Any], openapi_extra=ROWS_BODY)
async def invocations(request: Request, principal: Reader, served: Served) -> Response:
    """MLflow's scoring request for the default model: dataframe_split, dataframe_records, instances or inputs."""
    predictions = await _predictions(served)
    name = await served.workers.run_aside(predictions.default_model)
    return await _invoked(name, request, principal, served)


@router.post("/v1/models/{name}/invocations", response_model=dict[str, Any], openapi_extra=ROWS_BODY)
async def invocations_of(name: ModelName, request: Request, principal: Reader, served: Served) -> Response:
    """The same for a model by name."""
    return await _invoked(name, request, principal, served)


async def _invoked(name: str, request: Request, principal: Principal, served: Service) -> Response:
    found = await _predicted(served, name, rows_of_invocation(await _json(request)), principal)
    return json_reply({"predictions": _rows_told(found)}, headers=_headers(found))


# -- Open Inference Protocol v2


@router.get("/v2", response_model=dict[str, Any])
async def server_metadata() -> dict[str, Any]:
    """Name and version of this server. It offers no extensions."""
    return {"name": "assay", "version": "0.1.0", "extensions": []}


@router.get("/v2/health/live", response_model=dict[str, bool])
async def live() -> dict[str, bool]:
    """Whether the process answers."""
    return {"live": True}


@router.get("/v2/health/ready", response_model=dict[str, bool])
async def ready(served: Served) -> Response:
    """Whether every tabular model that answers can be loaded."""
    predictions = await _predictions(served)
    is_ready = await served.workers.run(predictions.is_ready)
    return json_reply({"ready": is_ready}, 200 if is_ready else 503)


@router.get("/v2/models", response_model=dict[str, list[str]])
async def list_models(_: Reader, served: Served) -> Response:
    """Names of the tabular models."""
    predictions = await _predictions(served)
    return json_reply({"models": await served.workers.run_aside(predictions.store.names)})


@router.get("/v2/models/{name}", response_model=dict[str, Any])
@router.get("/v2/models/{name}/versions/{version}", response_model=dict[str, Any])
async def model_metadata(name: ModelName, _: Reader, served: Served, version: str = "") -> Response:
    """A model's inputs, one per column, and outputs."""
    predictions = await _predictions(served)
    predictor = await served.workers.run(predictions.describe, _ref(name, version))
    return json_reply(metadata(predictor, predictions.store.versions(predictor.name)))


@router.get("/v2/models/{name}/ready", response_model=dict[str, Any])
@router.get("/v2/models/{name}/versions/{version}/ready", response_model=dict[str, Any])
async def model_ready(name: ModelName, _: Reader, served: Served, version: str = "") -> Response:
    """Whether a model is loaded or can be."""
    predictions = await _predictions(served)
    predictor = await served.workers.run(predictions.describe, _ref(name, version))
    return json_reply({"name": predictor.name, "ready": True})


@router.post("/v2/models/{name}/infer", response_model=InferReply, openapi_extra=ROWS_BODY)
@router.post("/v2/models/{name}/versions/{version}/infer", response_model=InferReply, openapi_extra=ROWS_BODY)
async def infer(name: ModelName, request: Request, principal: Reader, served: Served, version: str = "") -> Response:
    """Score rows given as one tensor per column; outputs are `score` and `decision`."""
    body = await _json(request)
    if not isinstance(body, dict):
        raise InvalidInput("An inference request is a JSON object with `inputs`.", field="inputs")
    found = await _predicted(served, _ref(name, version), rows_of_tensors(body.get("inputs")), principal)
    reply = inferred(found.predictor, found.scored, str(body.get("id") or found.request_id))
    wanted = _wanted_outputs(body.get("outputs"))
    reply["outputs"] = [one for one in reply["outputs"] if not wanted or one["name"] in wanted]
    return json_reply(reply, headers=_headers(found))


# -- inside


async def _predictions(served: Service) -> "Predictions":
    """Raises: NotFound where no tabular models are served, MissingExtra without their packages."""
    make = served.product.predictions
    if make is None:
        raise NotFound("This server serves no tabular models.", next_step="Train one: assay tabular train.")
    return make.value or await served.workers.run(make)


async def _predicted(served: Service, name: str, rows: list[Row], principal: Principal) -> "Predicted":
    """A single row costs half a millisecond: handing it to a thread and back would cost as much again."""
    predictions = await _predictions(served)
    if predictions.is_quick(name, rows):
        return predictions.predict(name, rows, _request_id(), principal)
    return await served.workers.run(predictions.predict, name, rows, _request_id(), principal)


def _request_id() -> str:
    return structlog.contextvars.get_contextvars()["request_id"]


def _learn(predictions: "Predictions", name: str, body: LabelsRequest, principal: Principal) -> int:
    return predictions.learn(name, [(one.id, one.label, one.known_at) for one in body.labels], principal)


async def _json(request: Request) -> Any:
    """The body, in which NaN and infinity are let through: a row's contract names the field. Raises: InvalidInput."""
    try:
        return from_json(await request.body(), allow_inf_nan=True)
    except ValueError as error:
        raise InvalidInput(f"The request body is not valid JSON: {error}.", field="body") from None


def _validated(model: type[BaseModel], body: Any) -> Any:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problems = [one | {"loc": ("body", *one["loc"])} for one in error.errors(include_context=False)]
        raise RequestValidationError(problems) from None


def _told(found: "Predicted") -> dict[str, Any]:
    model = found.predictor.model
    return {
        "model": model.name,
        "version": model.version,
        "digest": model.digest,
        "stage": found.stage,
        "threshold": model.threshold,
        "positive": model.spec.positive,
        "predictions": _rows_told(found),
    }


def _rows_told(found: "Predicted") -> list[dict[str, Any]]:
    rows = zip(found.keys, found.scored.scores.tolist(), found.scored.decisions.tolist(), strict=True)
    return [{"id": key, "score": score, "decision": decision} for key, score, decision in rows]


def _headers(found: "Predicted") -> dict[str, str]:
    """Which model answered, byte for byte, and how long the model itself took."""
    model, release = found.predictor.model, found.route.release if found.route else None
    told = {
        "X-Assay-Model": model.ref,
        "X-Assay-Model-Digest": model.digest,
        "X-Assay-Verdict": release.verdict_id if release and release.version == model.version else "",
        "Server-Timing": f"model;dur={found.seconds * 1000:.3f}",
    }
    return {name: value for name, value in told.items() if value}


def _ref(name: str, version: str) -> str:
    return f"{name.partition('@')[0]}@{version}" if version else name


def _wanted_outputs(given: Any) -> set[str]:
    """Names of the outputs a client asks for; empty for all. Raises: InvalidInput."""
    known = {one["name"] for one in OUTPUT_TYPES}
    wanted = {one.get("name") for one in given if isinstance(one, dict)} if isinstance(given, list) else set()
    if unknown := sorted(str(name) for name in wanted - known):
        raise InvalidInput(
            f"There is no output {', '.join(unknown)}.", field="outputs", next_step=f"There are: {', '.join(known)}."
        )
    return wanted
