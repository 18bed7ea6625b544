"""`/healthz` (is the process alive), `/readyz` (can it answer) and `/metrics`."""

import asyncio
from collections.abc import Callable

import structlog
from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.access import Admin
from app.api.replies import json_reply
from app.api.service import Served

router = APIRouter(tags=["operation"])
CHECK_TIMEOUT_S = 5
log = structlog.get_logger("assay.health")


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """200 while the process answers. Touches no model and no database."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Something it needs does not answer"}})
async def readyz(served: Served) -> Response:
    """200 when index, encoder and database answer, else 503 naming what does not."""
    checks = served.product.checks
    results = await asyncio.gather(*(_check(served, name, check) for name, check in checks.items()))
    ready = all(state == "ok" for state in results)
    body = {"status": "ready" if ready else "not ready", "checks": dict(zip(checks, results, strict=True))}
    return json_reply(body, 200 if ready else 503, None if ready else {"Retry-After": "2"})


@router.get("/metrics", response_class=Response)
async def metrics(_: Admin, served: Served) -> Response:
    """Prometheus text. Needs the scope `admin` once keys exist."""
    text = await served.workers.run_aside(served.metrics.text)
    return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})


async def _check(served: Served, name: str, check: Callable[[], None]) -> str:
    """`ok`, or a short word; the reason is in the log, since anyone may ask."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await served.workers.run_aside(check)
    except TimeoutError:
        return "timeout"
    except Exception as error:
        log.warning("not ready", check=name, error=str(error))
        return "failed"
    return "ok"
