"""`/mcp`: the Model Context Protocol over HTTP, behind the keys and limits of the rest of the API.

The protocol's SDK takes as long to import as everything else here, so it loads with the first request for it.
"""

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from app.api.replies import error_reply
from app.api.service import Service
from app.errors import http_error
from data.errors import AssayError

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

CALLER = "assay.caller"
"""Where the endpoint leaves the caller in the ASGI scope, for the tools to find."""


class ToolsEndpoint:
    """An ASGI application. `close()` ends it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._opening = asyncio.Lock()
        self._closing = asyncio.Event()
        self._sessions: StreamableHTTPSessionManager | None = None
        self._life: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope[CALLER] = await self._service.admit(Request(scope, receive))
            await self._service.workers.admit()
        except AssayError as error:
            await error_reply(http_error(error))(scope, receive, send)
            return
        try:
            sessions = await self._opened()
            await sessions.handle_request(scope, receive, send)
        finally:
            self._service.workers.release()

    async def close(self) -> None:
        self._closing.set()
        if self._life is not None:
            await self._life

    async def _opened(self) -> "StreamableHTTPSessionManager":
        async with self._opening:
            if self._sessions is None:
                sessions = await asyncio.to_thread(self._build)
                running = asyncio.Event()
                self._life = asyncio.create_task(self._live(sessions, running))
                await running.wait()
                self._sessions = sessions
        return self._sessions

    async def _live(self, sessions: "StreamableHTTPSessionManager", running: asyncio.Event) -> None:
        """One task enters and leaves the SDK's task group, whichever request came first."""
        async with sessions.run():
            running.set()
            await self._closing.wait()

    def _build(self) -> "StreamableHTTPSessionManager":
        from mcp.server.transport_security import TransportSecuritySettings

        from app.mcp_server import create_mcp

        server = create_mcp(self._service.assay, self._service.config)
        server.streamable_http_app(
            stateless_http=True,  # no open stream holds a place, and any process may answer
            json_response=True,
            max_request_body_size=self._service.config.max_body_bytes,
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # `admit` did
        )
        return server.session_manager
