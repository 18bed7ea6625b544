"""The one middleware: request id, trace, security headers, access log, metrics, last catch. Pure ASGI.

(Starlette's `BaseHTTPMiddleware` costs a task per request and breaks disconnects in streams.)
"""

import re
import time
import uuid

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.replies import error_reply
from app.errors import http_error
from app.telemetry import Metrics

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
NO_TRACE = b"0" * 32
SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
"""Defaults: a response that sets one itself (the pages do) keeps its own."""
QUIET_ROUTES = frozenset({"/healthz", "/readyz", "/metrics"})
PLAIN_ROUTES = frozenset({"/mcp", "/openapi.json"})
"""Routes that FastAPI does not name in the scope; none has a parameter."""
CLIENT_CLOSED = 499
log = structlog.get_logger("assay.http")


class Envelope:
    """What every request gets, whatever answers it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = bind_request(scope)
        started_at, status = time.perf_counter(), 0

        async def send_enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                missing = [pair for pair in SECURITY_HEADERS.items() if pair[0] not in present]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id), *missing]
            await send(message)

        try:
            await self._app(scope, receive, send_enveloped)
        except ClientDisconnect:
            self._metrics.cancelled.inc()
            status = status or CLIENT_CLOSED
        except Exception as error:
            log.exception("request failed", path_template=route_of(scope))
            if status:  # the response had begun: all that is left is to end it
                raise
            await error_reply(http_error(error))(scope, receive, send_enveloped)
        finally:
            self._finish(scope, status, time.perf_counter() - started_at)

    def _finish(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        self._metrics.request(route, scope["method"], status, seconds)
        if route not in QUIET_ROUTES:
            log.info("request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1))


def bind_request(scope: Scope) -> bytes:
    """Bind request and trace ids to the log context; return the request id, the client's if well formed."""
    headers = dict(scope["headers"])
    given = headers.get(b"x-request-id", b"")
    request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex.encode()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id.decode())
    trace = TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
    if trace and trace[1] != NO_TRACE:
        structlog.contextvars.bind_contextvars(trace_id=trace[1].decode(), parent_span_id=trace[2].decode())
    return request_id


def route_of(scope: Scope) -> str:
    """The template of the route that answered, so that ids never become label values."""
    if route := scope.get("route"):
        return route.path
    path = scope["path"]
    return path if path in PLAIN_ROUTES else "/static" if path.startswith("/static/") else "unmatched"
