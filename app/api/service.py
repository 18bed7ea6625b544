"""What every route works with: the product, its keys and limits. Lives in `app.state.service`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import Depends, Request

from app.api.access import Caller, Gatekeeper, presented
from app.api.config import ApiConfig
from app.api.workers import Workers
from app.keys import KeyStore
from app.telemetry import Late, Metrics
from data.records import Answer

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from app.assay import Assay
    from app.once import Once
    from app.prediction import Predictions
    from app.rollout import AnswerRollout
    from app.web.dashboard.sources import Sources

log = structlog.get_logger("assay.service")
DEFAULT_MODEL = "assay"
"""Answers as configured: with the language model where there is one, else extractively."""
EXTRACTIVE_MODEL = "assay-extractive"


@dataclass(frozen=True)
class Product:
    """What `create_app` is given: the parts that exist without HTTP."""

    assay: "Assay"
    keys: KeyStore
    models: tuple[str, ...] = ()
    """Ids of configured language models, besides `assay` and `assay-extractive`."""
    rollout: "AnswerRollout | None" = None
    """Adapters that answer for a model, a collection or a tenant."""
    dashboard: "Sources | None" = None
    """What `/dashboard` reads; without it there is none."""
    predictions: "Once[Predictions] | None" = None
    """Tabular models."""
    embedder: Callable[[], str] = lambda: "assay-embedder"
    """Names the active embedding model."""
    checks: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    """Readiness: what must answer, and a call that raises when it does not."""
    gauges: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    """Values shown by `/metrics`, such as the index's lag and the breaker's state."""
    collectors: tuple["Collector", ...] = ()
    """Further families of metrics, asked at a scrape."""


@dataclass(frozen=True)
class Service:
    product: Product
    config: ApiConfig
    metrics: Metrics
    workers: Workers
    gatekeeper: Gatekeeper

    @property
    def assay(self) -> "Assay":
        return self.product.assay

    @property
    def models(self) -> tuple[str, ...]:
        adapters = self.product.rollout.models() if self.product.rollout else ()
        return (DEFAULT_MODEL, EXTRACTIVE_MODEL, *self.product.models, *adapters)

    async def admit(self, request: Request) -> Caller:
        """Raises: Unauthenticated, Forbidden, Overloaded."""
        if self.product.keys.is_stale(presented(request)):
            await self.workers.run_aside(self.product.keys.refresh)
        caller = self.gatekeeper.admit(request)
        structlog.contextvars.bind_contextvars(tenant=caller.principal.tenant)
        return caller

    def answered(self, answer: Answer) -> None:
        """Count and log a released answer."""
        self.metrics.answered(answer)
        log.info(
            "answer",
            receipt_id=answer.receipt_id,
            abstained=answer.abstained,
            fallback=bool(answer.fallback_from),
        )


def make_service(product: Product, config: ApiConfig) -> Service:
    metrics = Metrics(product.gauges)
    for collector in product.collectors:
        metrics.registry.register(collector)
    if product.predictions is not None:
        metrics.registry.register(Late(lambda: getattr(product.predictions.value, "metrics", None)))
    return Service(product, config, metrics, Workers(config, metrics), Gatekeeper(product.keys, config))


async def _service(request: Request) -> Service:
    """Asynchronous, or FastAPI would ask a thread for it at every request."""
    return request.app.state.service


Served = Annotated[Service, Depends(_service)]
