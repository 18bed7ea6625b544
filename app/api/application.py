"""`create_app`: routes, errors and limits put together. Builds nothing of the product; `app.wiring` does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Route

from app.api import chat, documents, health, models, receipts, reference, search, session, tables, vectors
from app.api.access import COOKIE
from app.api.body_limit import BodyLimit
from app.api.config import ApiConfig
from app.api.envelope import Envelope
from app.api.replies import error_reply
from app.api.service import Product, make_service
from app.api.tools import ToolsEndpoint
from app.errors import ErrorBody, http_error
from app.telemetry import request_spans
from app.web import pages
from app.web.dashboard import routes as dashboard
from app.web.rendering import error_page
from data.errors import AssayError

ROUTERS = (
    chat.router,
    search.router,
    vectors.router,
    documents.router,
    receipts.router,
    tables.router,
    models.router,
    session.router,
    health.router,
    reference.router,
)

UPLOADS = "/v1/documents"
REFUSALS: dict[int | str, dict] = {
    422: {"model": ErrorBody, "description": "The request does not fit the schema"},
    "4XX": {"model": ErrorBody, "description": "The request was refused"},
    "5XX": {"model": ErrorBody, "description": "The server failed"},
}
SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, ask_..."},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
}


def create_app(product: Product, config: ApiConfig = ApiConfig()) -> FastAPI:
    """The ASGI application. Its product is open already and is closed by whoever opened it."""
    service = make_service(product, config)

    tools = ToolsEndpoint(service)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await tools.close()
        service.workers.close()

    app = FastAPI(
        title="Assay",
        summary="Answers questions from a team's own documents and shows the proof.",
        version="0.1.0",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=request_spans(),
        responses=REFUSALS,
    )
    app.state.service = service
    for router in ROUTERS:
        app.include_router(router)
    app.router.routes.append(Route("/mcp", tools, include_in_schema=False))
    app.include_router(pages.router, include_in_schema=False)
    app.include_router(dashboard.router, include_in_schema=False)
    app.mount("/static", pages.static, name="static")
    app.openapi = partial(_described, app)
    for kind in (AssayError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer_error)
    larger = {UPLOADS: config.max_upload_bytes}
    app.add_middleware(BodyLimit, default_bytes=config.max_body_bytes, bytes_of=larger, timeout_s=config.body_timeout_s)
    app.add_middleware(Envelope, metrics=service.metrics)
    return app


def _described(app: FastAPI) -> dict:
    """The OpenAPI document, with the ways to sign in."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        document["components"]["securitySchemes"] = SCHEMES
        document["security"] = [{name: []} for name in SCHEMES] + [{}]
    return app.openapi_schema


async def _answer_error(request: Request, error: Exception) -> Response:
    if _is_lost_reader(request):
        return error_page(request, error)
    return error_reply(http_error(error))


def _is_lost_reader(request: Request) -> bool:
    """Whether a browser shows a person the answer to a path that there is not; what routes answer is up to them."""
    is_served = isinstance(request.scope.get("route"), APIRoute) or request.url.path.startswith("/v1/")
    return request.method in ("GET", "HEAD") and not is_served and "text/html" in request.headers.get("accept", "")
