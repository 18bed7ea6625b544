"""Logs (structlog), metrics (Prometheus) and traces (OpenTelemetry, only with an endpoint).

Never personal data: no question, answer, document text or client address. Labels come from closed sets.
"""

import logging
import sys
from collections.abc import Callable, Mapping

import structlog
from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from data.errors import MissingExtra
from data.records import Answer, SearchResult

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)
STAGES = frozenset(
    {
        "screen",
        "rewrite",
        "embed",
        "lexical",
        "dense",
        "fusion",
        "fetch",
        "retrieve",
        "rerank",
        "answer",
        "ground",
        "receipt",
    }
)
"""The stages that get a label of their own; any other is counted as `other`."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""HTTP lets clients make up others."""


def configure_logging(level: str = "info") -> None:
    """One line per event on standard error: JSON, or readable on a terminal; libraries' warnings too."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    readable = sys.stderr.isatty()
    last = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if readable
        else structlog.processors.JSONRenderer()
    )
    flat = [] if readable else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, *flat, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *flat, last],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(logging.WARNING, logging.getLevelName(level.upper())), force=True)


def configure_tracing(endpoint: str) -> None:
    """Send a span per request to `endpoint` (OTLP over HTTP). Call it before `create_app`. Raises: MissingExtra."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingExtra("opentelemetry-exporter-otlp-proto-http", extra="telemetry") from error
    provider = TracerProvider(resource=Resource.create({"service.name": "assay"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)


def request_spans() -> dict[str, bool]:
    """How FastAPI traces requests: spans once `configure_tracing` ran; its logs would hold messages of errors."""
    on = not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    return {"tracing": on, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}


class Metrics:
    """What `/metrics` shows. One per application, on its own registry; `gauges` are asked at a scrape."""

    def __init__(self, gauges: Mapping[str, Callable[[], float]] | None = None) -> None:
        self.registry = CollectorRegistry()
        common = {"registry": self.registry}
        self.requests = Counter("assay_requests", "Requests answered", ["route", "method", "status"], **common)
        self.latency = Histogram("assay_request_seconds", "Time to the last byte", ["route"], buckets=SECONDS, **common)
        self.first_sentence = Histogram(
            "assay_first_sentence_seconds", "Time to the first sentence", buckets=SECONDS, **common
        )
        self.stages = Histogram("assay_stage_seconds", "Time of one stage", ["stage"], buckets=SECONDS, **common)
        self.answers = Counter("assay_answers", "Answers released", ["outcome"], **common)
        self.tokens = Counter("assay_tokens", "Tokens of the generating model", ["direction"], **common)
        self.dropped_citations = Counter(
            "assay_citations_dropped", "Citation markers that pointed to nothing", **common
        )
        self.cancelled = Counter("assay_cancelled", "Requests whose client went away", **common)
        self.rejected = Counter("assay_rejected", "Requests refused for want of room", **common)
        self.working = Gauge("assay_requests_working", "Requests being worked on", **common)
        self.queued = Gauge("assay_requests_queued", "Requests waiting for a place", **common)
        if gauges:
            self.registry.register(_Asked(gauges))

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        self.requests.labels(route, method if method in METHODS else "other", f"{status // 100}xx").inc()
        self.latency.labels(route).observe(seconds)

    def searched(self, result: SearchResult) -> None:
        self._timed(result.timings_ms)

    def answered(self, answer: Answer) -> None:
        self._timed(answer.timings_ms)
        outcome = "abstained" if answer.abstained else "fallback" if answer.fallback_from else "answered"
        self.answers.labels(outcome).inc()
        self.tokens.labels("prompt").inc(answer.usage.prompt_tokens)
        self.tokens.labels("completion").inc(answer.usage.completion_tokens)
        self.dropped_citations.inc(answer.dropped_citations)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def _timed(self, timings_ms: Mapping[str, float]) -> None:
        for stage, ms in timings_ms.items():
            self.stages.labels(stage if stage in STAGES else "other").observe(ms / 1000)


class _Asked(Collector):
    """Gauges whose value another part of the product knows."""

    def __init__(self, gauges: Mapping[str, Callable[[], float]]) -> None:
        self._gauges = gauges

    def describe(self):
        return [GaugeMetricFamily(f"assay_{name}", name) for name in self._gauges]

    def collect(self):
        for name, ask in self._gauges.items():
            yield GaugeMetricFamily(f"assay_{name}", name.replace("_", " "), value=float(ask()))


class Late(Collector):
    """Metrics of a part of the product that is built when it is first needed; nothing before."""

    def __init__(self, find: Callable[[], Collector | None]) -> None:
        self._find = find

    def describe(self):
        return []

    def collect(self):
        found = self._find()
        return found.collect() if found is not None else []
