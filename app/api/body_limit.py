"""Bounds request bodies: their size, whether declared or not, and the silence while they are being sent."""

import asyncio
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.replies import error_reply
from app.errors import http_error
from data.errors import TooLarge


class BodyLimit:
    """`default_bytes` for every path, except those in `bytes_of`."""

    def __init__(self, app: ASGIApp, default_bytes: int, bytes_of: Mapping[str, int], timeout_s: float) -> None:
        self._app = app
        self._default_bytes = default_bytes
        self._bytes_of = bytes_of
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._bytes_of.get(scope["path"], self._default_bytes)
        if _declared(scope) > limit:
            await error_reply(http_error(_too_large(limit)))(scope, receive, send)
            return
        received, complete = 0, False

        async def receive_bounded() -> Message:
            nonlocal received, complete
            message = await (receive() if complete else self._next_piece(receive))
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > limit:
                raise HTTPException(413, str(_too_large(limit)))  # FastAPI makes other classes a 400
            return message

        await self._app(scope, receive_bounded, send)

    async def _next_piece(self, receive: Receive) -> Message:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await receive()
        except TimeoutError:
            raise HTTPException(408, f"No more of the request body came for {self._timeout_s:g} s.") from None


def _declared(scope: Scope) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is over the limit of {limit} bytes.", next_step="Send less at a time.")
