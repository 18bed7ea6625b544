"""HTML responses: templates, security headers, error pages. Knows nothing of what the pages say.

Everything inserted into a template is escaped, and the policy lets no inline script or style run: text of
documents and models can only ever be text.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from app.api.access import COOKIE, Caller, bearer
from app.errors import http_error
from app.keys import Scope as KeyScope
from app.web.answers import source_link
from data.errors import AssayError

FOLDER = Path(__file__).parent
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
TITLES = {
    400: "That did not work",
    401: "Sign in to go on",
    403: "That is not allowed",
    404: "Nothing here",
    413: "Too large",
    422: "That did not work",
    429: "The server is busy",
    503: "The server cannot answer now",
}
log = structlog.get_logger("assay.web")


def page(
    request: Request, template: str, caller: Caller | None = None, *, status: int = 200, **context: Any
) -> HTMLResponse:
    """Render `template`. `caller` is None where nobody needs to be known: then nothing of theirs is shown."""
    shown = {
        "here": request.url.path,
        "pages": _pages(caller),
        "tenant": caller.principal.tenant if caller else "",
        "can_write": caller is not None and KeyScope.WRITE in caller.scopes,
        "can_sign_out": caller is not None and COOKIE in request.cookies and not bearer(request),
    }
    html = _environment.get_template(template).render(shown | context)
    return HTMLResponse(html, status, HEADERS)


def _pages(caller: Caller | None) -> list[tuple[str, str]]:
    """Addresses and names of what the navigation offers: what the caller may see, as far as it is known."""
    scopes = caller.scopes if caller else {KeyScope.READ}
    asking = [("/", "Ask"), ("/documents", "Documents")] if KeyScope.READ in scopes else []
    return asking + ([("/dashboard", "Dashboard")] if KeyScope.ANALYST in scopes else [])


class PageRoute(APIRoute):
    """A route whose errors are pages, with the status and message that the API would give."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except ClientDisconnect:
                raise
            except Exception as error:
                if not isinstance(error, AssayError | RequestValidationError | HTTPException):
                    log.exception("page failed")
                return error_page(request, error)

        return answer


def error_page(request: Request, error: Exception) -> Response:
    shown = http_error(error)
    response = page(
        request,
        "error.html",
        getattr(request.state, "caller", None),
        status=shown.status,
        title=TITLES.get(shown.status, "Something went wrong"),
        error=shown,
        is_document=request.url.path.startswith("/documents/"),
        is_dashboard=request.url.path.startswith("/dashboard"),
        back_to=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
    )
    response.headers.update(shown.headers)
    return response


class Revalidated(StaticFiles):
    """Static files that browsers ask for again (304 when unchanged), so that an upgrade is seen at once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_revalidated(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"cache-control", b"no-cache")]
            await send(message)

        await super().__call__(scope, receive, send_revalidated)


def size(n_bytes: int) -> str:
    """`1536` as `1.5 kB`: units of 1024, as file managers show them."""
    amount, units = float(n_bytes), ("B", "kB", "MB", "GB")
    for unit in units:
        if amount < 1024 or unit == units[-1]:
            figure = f"{amount:.0f}" if amount >= 100 else f"{amount:.1f}".removesuffix(".0")
            return f"{figure} {unit}"
        amount /= 1024
    raise AssertionError("unreachable")


def day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"


def number(value: float) -> str:
    """A score or a time in as many digits as a reader can use."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def moment(at: datetime) -> str:
    return f"{day(at)}, {at:%H:%M}"


def ago(at: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that fits."""
    minutes = max(0, (now - at).total_seconds() / 60)
    for unit, length in (("day", 1440), ("hour", 60), ("minute", 1)):
        if (n := int(minutes // length)) > 0:
            return f"{n} {unit}{'' if n == 1 else 's'} ago"
    return "just now"


def share(part: float) -> str:
    return f"{100 * part:.3g} %"


def signed(value: float) -> str:
    """A difference, with a true minus."""
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{number(abs(value))}"


def _build_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=size, day=day, number=number, moment=moment, ago=ago, share=share, signed=signed)
    environment.globals.update(source_link=source_link)
    return environment


_environment = _build_environment()
