"""`POST /v1/chat/completions`: ask a question, get sentences with their proof."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.access import Reader
from app.api.chat_shape import ChatCompletion, ChatMessage, ChatRequest, completion
from app.api.chat_stream import AnswerStream, ChatFrames
from app.api.replies import json_reply
from app.api.service import DEFAULT_MODEL, EXTRACTIVE_MODEL, Served, Service
from app.api.wire import check_k, check_question
from app.api.workers import Steps, until_disconnect
from app.rollout import headers
from data.errors import InvalidInput, ModelUnavailable, NotFound
from data.records import Answer, AnswerEvent, EventType, Principal
from serving.rollout.state import Route

router = APIRouter(prefix="/v1", tags=["answers"])
STREAM = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}


@router.post("/chat/completions", response_model=ChatCompletion, responses={200: STREAM})
async def chat_completions(body: ChatRequest, request: Request, principal: Reader, served: Served) -> Response:
    """Answer the last user message from the documents, as OpenAI's API would, with citations as annotations.

    With `stream`: events `retrieval`, `message`, `citation` and `final`, each a `chat.completion.chunk`.
    """
    route = _route(body, principal, served)
    if body.stream:
        frames = ChatFrames(body.model, includes_usage=body.includes_usage)
        response = AnswerStream(served, _steps(body, principal, served, route), frames)
        response.headers.update(headers(route))
        return response
    answer, snapshot_id = await answered(body, request, principal, served, route)
    return json_reply(completion(answer, snapshot_id, body.model), headers=headers(route))


async def answered(
    body: ChatRequest, request: Request, principal: Principal, served: Service, route: Route | None = None
) -> tuple[Answer, str]:
    """The whole answer and the snapshot it came from. The work stops when the client goes away."""
    steps = _steps(body, principal, served, route)
    return await until_disconnect(request.receive, _collect(served, steps))


def _route(body: ChatRequest, principal: Principal, served: Service) -> Route | None:
    """The adapter's release that answers, if one does: chosen once, so that headers and answer agree."""
    rollout = served.product.rollout
    if rollout is None or body.model == EXTRACTIVE_MODEL:
        return None
    return rollout.route(principal, body.collection, _named(body), body.user or "")


def _named(body: ChatRequest) -> str:
    return "" if body.model == DEFAULT_MODEL else body.model


def _steps(body: ChatRequest, principal: Principal, served: Service, route: Route | None) -> Steps[AnswerEvent]:
    stopped = threading.Event()
    return Steps(served.workers, partial(_ask(body, principal, served, route), stopped=stopped), stopped)


def _ask(
    body: ChatRequest, principal: Principal, served: Service, route: Route | None
) -> Callable[..., Iterator[AnswerEvent]]:
    """The call that answers. Raises: InvalidInput, NotFound for an unknown model."""
    if body.model not in served.models:
        raise ModelNotFound(f"There is no model {body.model!r}.", next_step=f"Use one of: {', '.join(served.models)}.")
    question, history = _question(body.messages)
    options: dict[str, Any] = {}
    if history and body.conversation_id is None:
        options["history"] = history[-served.config.max_history_messages :]
    if route is not None:
        options["route"] = route
    if body.user:
        options["user"] = body.user
    return partial(
        served.assay.ask,
        check_question(question, served.config, field="messages"),
        principal=principal,
        collection=body.collection,
        filters=body.filters,
        k=check_k(body.k, served.config),
        conversation_id=body.conversation_id,
        strict=body.strict,
        mode=body.mode,
        model=_named(body),
        **options,
    )


class ModelNotFound(NotFound):
    code = "model_not_found"


def _question(messages: list[ChatMessage]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The last user message, and the (role, text) pairs before it. System messages are not ours to follow."""
    last = max((n for n, m in enumerate(messages) if m.role == "user"), default=None)
    if last is None:
        raise InvalidInput("There is no user message.", field="messages", next_step="Send one with role 'user'.")
    history = tuple((m.role, m.text) for m in messages[:last] if m.role in ("user", "assistant") and m.text)
    return messages[last].text, history


async def _collect(served: Service, steps: Steps[AnswerEvent]) -> tuple[Answer, str]:
    """The final answer and the snapshot it came from; the place is held until the generator has ended."""
    workers, timeout_s = served.workers, served.config.answer_timeout_s
    await workers.admit()
    try:
        answer, snapshot_id = await workers.within(steps.all(_last), timeout_s)
    finally:
        steps.stop(then=workers.release)
    served.answered(answer)
    return answer, snapshot_id


def _last(events: Iterator[AnswerEvent]) -> tuple[Answer, str]:
    snapshot_id = ""
    for event in events:
        if event.type is EventType.RETRIEVAL:
            snapshot_id = event.result.snapshot_id
        elif event.type is EventType.FINAL:
            return event.answer, snapshot_id
    raise ModelUnavailable("The answer ended before it was complete.", next_step="Try again.")
