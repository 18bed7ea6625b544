"""Receipts: what an answer came from, repeated on demand, and what its reader thought of it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from app.api.access import Reader
from app.api.replies import json_reply
from app.api.service import Served
from app.api.wire import Identifier, Request, Text
from data.records import Receipt

router = APIRouter(prefix="/v1", tags=["receipts"])


class Feedback(Request):
    receipt_id: Identifier
    rating: Literal["up", "down"]
    correction: Annotated[Text, Field(max_length=10_000)] = ""
    """What the answer should have said."""


class Thanks(BaseModel):
    receipt_id: str
    rating: Literal["up", "down"]


@router.get("/receipts/{identity}", response_model=Receipt)
async def get_receipt(identity: Identifier, principal: Reader, served: Served) -> Response:
    """Everything an answer came from. `assay verify` checks it offline."""
    return json_reply(await served.workers.run(served.assay.receipt, identity, principal))


@router.post("/receipts/{identity}/replay", response_model=dict[str, Any])
async def replay(identity: Identifier, principal: Reader, served: Served) -> Response:
    """Repeat the answer's retrieval and say what differs, if anything does."""
    return json_reply(await served.workers.run(served.assay.replay, identity, principal))


@router.post("/feedback", response_model=Thanks, status_code=201)
async def give_feedback(body: Feedback, principal: Reader, served: Served) -> Response:
    """Rate an answer, and say what it should have been."""
    await served.workers.run(served.assay.feedback, body.receipt_id, principal, body.rating, body.correction)
    return json_reply({"receipt_id": body.receipt_id, "rating": body.rating}, 201)
