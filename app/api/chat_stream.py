"""A streamed answer as server-sent events.

Each typed event (`retrieval`, `message`, `citation`, `final`) is a frame with its name whose data is a valid
`chat.completion.chunk` with our payload under `assay`: any OpenAI client reads the text and skips the rest.
"""

import asyncio
import time
from typing import Any

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.chat_shape import annotation, annotations, new_id, proof, usage_shape
from app.api.replies import encode
from app.api.service import Service
from app.api.workers import NOTHING_LEFT, Steps, deadline_exceeded, until_disconnect
from app.errors import http_error
from data.records import Answer, AnswerEvent, EventType

HEARTBEAT = b": still working\n\n"
DONE = b"data: [DONE]\n\n"
log = structlog.get_logger("assay.stream")


class ChatFrames:
    """Turns the events of one answer into frames."""

    def __init__(self, model: str, *, includes_usage: bool) -> None:
        self._head = {
            "id": new_id(),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._includes_usage = includes_usage
        self._text = ""
        self._spans: list[tuple[int, int]] = []
        self._snapshot_id = ""
        self._begun = False

    def of(self, event: AnswerEvent) -> bytes:
        match event.type:
            case EventType.RETRIEVAL:
                self._snapshot_id = event.result.snapshot_id
                return self._typed(event.type, "", {"result": event.result})
            case EventType.MESSAGE:
                return self._message(event)
            case EventType.CITATION:
                sentence = len(self._spans) - 1
                place = self._spans[-1] if self._spans else (0, 0)
                return self._typed(event.type, "", annotation(event.citation, sentence, place)["citation"])
            case EventType.FINAL:
                return self._final(event.answer)

    def _message(self, event: AnswerEvent) -> bytes:
        new = (" " if self._text else "") + event.sentence.text
        start = len(self._text) + len(new) - len(event.sentence.text)
        self._text += new
        self._spans.append((start, len(self._text)))
        payload = {"sentence": len(self._spans) - 1, "start_index": start, "end_index": len(self._text)}
        return self._typed(event.type, new, payload | {"support": event.sentence.support})

    def _final(self, answer: Answer) -> bytes:
        rest = answer.text[len(self._text) :] if answer.text.startswith(self._text) else ""
        payload = {"content": answer.text, "annotations": annotations(answer)} | proof(answer, self._snapshot_id)
        frames = self._typed(EventType.FINAL, rest, payload)
        frames += self._data({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if self._includes_usage:
            frames += self._data({"choices": [], "usage": usage_shape(answer.usage)})
        return frames

    def _typed(self, name: EventType, content: str, payload: dict[str, Any]) -> bytes:
        delta: dict[str, str] = {} if self._begun else {"role": "assistant"}
        if content or not self._begun:
            delta["content"] = content
        self._begun = True
        choices = [{"index": 0, "delta": delta, "finish_reason": None}]
        return b"event: " + name.encode() + b"\n" + self._data({"choices": choices, "assay": {"type": name} | payload})

    def _data(self, body: dict[str, Any]) -> bytes:
        return b"data: " + encode(self._head | body) + b"\n\n"


def error_frame(error: Exception) -> bytes:
    return b"event: error\ndata: " + encode(http_error(error).body) + b"\n\n" + DONE


class AnswerStream(Response):
    """Streams an answer. An error before the first event is an ordinary response; later, it is an event.

    Takes a place when it is sent, and gives it back when the answer's generator has really ended.
    """

    media_type = "text/event-stream"

    def __init__(self, service: Service, steps: Steps[AnswerEvent], frames: ChatFrames) -> None:
        self._service = service
        self._steps = steps
        self._frames = frames
        self._started = False
        self._spoke = False
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await until_disconnect(receive, self._stream(send))

    async def _stream(self, send: Send) -> None:
        workers = self._service.workers
        await workers.admit()
        try:
            await self._advance(send)
        except Exception as error:
            if not self._started:
                raise
            log.warning("stream failed", error=type(error).__name__, exc_info=http_error(error).status == 500)
            await self._write(send, error_frame(error))
        finally:
            self._steps.stop(then=workers.release)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _advance(self, send: Send) -> None:
        config, began_at, ended = self._service.config, time.monotonic(), False
        step = self._steps.next()
        while True:
            left_s = config.answer_timeout_s - (time.monotonic() - began_at)
            if left_s <= 0:
                raise deadline_exceeded(config.answer_timeout_s)
            done, _ = await asyncio.wait({step}, timeout=min(config.heartbeat_s, left_s))
            if not done:
                await self._write(send, HEARTBEAT)
                continue
            event = step.result()
            if event is NOTHING_LEFT:
                if ended:  # only now: clients leave at [DONE], and the conversation is saved after the final event
                    await self._write(send, DONE)
                return
            self._observe(event, began_at)
            await self._write(send, self._frames.of(event))
            ended = event.type is EventType.FINAL
            step = self._steps.next()

    def _observe(self, event: AnswerEvent, began_at: float) -> None:
        if event.type is EventType.MESSAGE and not self._spoke:
            self._spoke = True
            self._service.metrics.first_sentence.observe(time.monotonic() - began_at)
        elif event.type is EventType.FINAL:
            self._service.answered(event.answer)

    async def _write(self, send: Send, frame: bytes) -> None:
        if not self._started:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            self._started = True
        await send({"type": "http.response.body", "body": frame, "more_body": True})
