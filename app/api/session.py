"""The page's session: an API key in a cookie that scripts cannot read and other sites cannot send."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from app.api.access import COOKIE, AnyCaller, bearer, check_csrf
from app.api.replies import json_reply
from app.api.service import Served
from app.api.wire import Request as WireRequest
from app.api.wire import Text

router = APIRouter(prefix="/v1", tags=["session"])


class SignIn(WireRequest):
    key: Annotated[Text, Field(min_length=1, max_length=200)]


class Who(BaseModel):
    tenant: str
    groups: list[str]
    subject: str
    scopes: list[str]
    by: str
    """`local` (no key exists), `header` or `cookie`."""


@router.post("/session", status_code=204, response_class=Response)
async def sign_in(body: SignIn, request: Request, served: Served) -> Response:
    """Keep a key in the session cookie. Needs the header `X-Requested-With: assay`."""
    check_csrf(request)
    keys = served.product.keys
    if keys.is_stale(body.key):
        await served.workers.run_aside(keys.refresh)
    keys.verify(body.key)
    response = Response(status_code=204)
    response.set_cookie(
        COOKIE,
        body.key,
        httponly=True,
        samesite="strict",
        secure=served.config.session_cookie_secure,
        path="/",
    )
    return response


@router.delete("/session", status_code=204, response_class=Response)
async def sign_out(request: Request) -> Response:
    """Forget the session cookie."""
    check_csrf(request)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


@router.get("/session", response_model=Who)
async def who_am_i(request: Request, caller: AnyCaller, served: Served) -> Response:
    """Whom the server takes the caller for."""
    by = "local" if not served.product.keys.any_exist() else "header" if bearer(request) else "cookie"
    principal = caller.principal
    return json_reply(
        {
            "tenant": principal.tenant,
            "groups": sorted(principal.groups),
            "subject": principal.subject,
            "scopes": sorted(caller.scopes),
            "by": by,
        }
    )
