"""`create_app`: routes, errors and limits put together. Builds nothing of the product; `app.wiring` does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from app.api import chat, health, models, search
from app.api.config import ApiConfig
from app.api.envelope import Envelope
from app.api.replies import error_reply
from app.api.service import Product, make_service
from app.errors import http_error
from data.errors import AssayError

ROUTERS = (chat.router, search.router, models.router, health.router)


def create_app(product: Product, config: ApiConfig = ApiConfig()) -> FastAPI:
    """The ASGI application. Its product is open already and is closed by whoever opened it."""
    service = make_service(product, config)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.workers.close()

    app = FastAPI(
        title="Assay",
        summary="Answers questions from a team's own documents and shows the proof.",
        version="0.1.0",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=config.max_body_bytes,
    )
    app.state.service = service
    for router in ROUTERS:
        app.include_router(router)
    for kind in (AssayError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer_error)
    app.add_middleware(Envelope, metrics=service.metrics)
    return app


async def _answer_error(_: Request, error: Exception) -> Response:
    return error_reply(http_error(error))
