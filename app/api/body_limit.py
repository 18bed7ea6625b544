"""Bounds request bodies, whether their length is declared or they just keep coming."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.replies import error_reply
from app.errors import http_error
from data.errors import TooLarge


class BodyLimit:
    """`default_bytes` for every path, except those in `bytes_of`."""

    def __init__(self, app: ASGIApp, default_bytes: int, bytes_of: Mapping[str, int]) -> None:
        self._app = app
        self._default_bytes = default_bytes
        self._bytes_of = bytes_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._bytes_of.get(scope["path"], self._default_bytes)
        if _declared(scope) > limit:
            await error_reply(http_error(_too_large(limit)))(scope, receive, send)
            return
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, str(_too_large(limit)))  # FastAPI makes other classes a 400
            return message

        await self._app(scope, receive_bounded, send)


def _declared(scope: Scope) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is over the limit of {limit} bytes.", next_step="Send less at a time.")
