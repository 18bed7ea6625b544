"""`/mcp`: the Model Context Protocol over HTTP, behind the keys and limits of the rest of the API."""

from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from app.api.replies import error_reply
from app.api.service import Service
from app.errors import http_error
from app.mcp_server import CALLER, create_mcp
from data.errors import AssayError


class ToolsEndpoint:
    """An ASGI application; `sessions.run()` must be entered while it serves."""

    def __init__(self, service: Service) -> None:
        self._service = service
        server = create_mcp(service.assay, service.config)
        server.streamable_http_app(
            stateless_http=True,  # no open stream holds a place, and any process may answer
            json_response=True,
            max_request_body_size=service.config.max_body_bytes,
            transport_security=TransportSecuritySettings(
                enable_dns_rebinding_protection=False
            ),  # `admit` checks it
        )
        self.sessions = server.session_manager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope[CALLER] = await self._service.admit(Request(scope, receive))
            await self._service.workers.admit()
        except AssayError as error:
            await error_reply(http_error(error))(scope, receive, send)
            return
        try:
            await self.sessions.handle_request(scope, receive, send)
        finally:
            self._service.workers.release()
