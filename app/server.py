"""Runs the server: loads index and models while the HTTP stack imports, then serves until told to stop."""

import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, NoReturn

from app.settings import ROOT, Settings
from app.telemetry import configure_logging, configure_tracing
from app.wiring import build_predictions, open_assay
from data.errors import InfrastructureError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app.assay import Assay
    from app.once import Once
    from app.prediction import Predictions

SAMPLES = ROOT / "data" / "samples"
SAMPLE_QUESTION = "How many weeks of parental leave at full pay do employees get?"


def run(settings: Settings, *, with_sample: bool = False) -> None:
    """Serve on `settings.host:settings.port` until SIGINT or SIGTERM; open streams are finished first.

    Raises: InfrastructureError when the address cannot be listened on.
    """
    started = time.perf_counter()
    configure_logging(settings.log_level)
    warnings.filterwarnings(
        "ignore", message="SOCKS support in urllib3"
    )  # no proxy is spoken to; it is told in a terminal
    if settings.otel_endpoint:
        configure_tracing(settings.otel_endpoint)
    signal.signal(signal.SIGTERM, _stop)
    with (
        _bound(settings.host, settings.port) as listener,
        closing(open_assay(settings)) as assay,
        closing(build_predictions(settings, assay)) as predictions,
    ):
        loading = _InBackground(lambda: _load(assay, with_sample))
        import uvicorn  # while the index loads

        app = build_app(settings, assay, predictions)
        loading.wait()
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.api.shutdown_grace_s,
            timeout_keep_alive=30,
        )
        listener.listen(config.backlog)
        _welcome(settings, assay, time.perf_counter() - started)
        _InBackground(
            lambda: _warm_up(settings, assay, predictions)
        )  # libraries load for a second: not while someone waits for it
        server = uvicorn.Server(config)
        stopped_by: list[int] = []
        handle_exit = server.handle_exit
        server.handle_exit = lambda number, frame: (stopped_by.append(number), handle_exit(number, frame))
        server.run(sockets=[listener])
        if signal.SIGINT in stopped_by:  # uvicorn raises it again when done, but asyncio's runner can lose it then
            raise KeyboardInterrupt


def build_app(settings: Settings, assay: "Assay", predictions: "Once[Predictions] | None" = None) -> "FastAPI":
    """The ASGI application over an opened product; without `predictions` it serves no tabular models."""
    from app.api.application import create_app
    from app.api.service import Product
    from app.dashboard import build_dashboard
    from app.keys import KeyStore
    from app.watch_metrics import WatchMetrics
    from evals.drift.store import DriftStore

    return create_app(
        Product(
            assay=assay,
            keys=KeyStore(assay.stores.database, refresh_s=settings.api.key_refresh_s),
            models=(settings.llm.model,) if settings.llm.model else (),
            rollout=assay.stores.rollout,
            predictions=predictions,
            dashboard=build_dashboard(settings, assay.stores.database),
            embedder=lambda: assay.embedder.id,
            checks={
                "database": lambda: assay.stores.database.current_generation() and None,
                "index": lambda: assay.keeper.snapshot() and None,
            },
            collectors=(WatchMetrics(DriftStore(assay.stores.database), assay.stores.watch),),
            gauges={
                "index_generation_lag": lambda: assay.keeper.lag,
                "index_chunks": lambda: assay.keeper.snapshot().n_chunks,
            },
        ),
        settings.api,
    )


def _bound(host: str, port: int) -> socket.socket:
    """A socket that holds the address but refuses connections until it listens: a taken port costs no loading."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise InfrastructureError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}.",
            next_step="Stop what uses it, or choose another with ASSAY_HOST and ASSAY_PORT.",
        ) from error
    return bound


def _stop(*_: object) -> NoReturn:
    """SIGTERM ends the process like a command that is done: everything is closed, exit code 0."""
    sys.exit(0)


class _InBackground:
    """Runs `work` in a thread; `wait()` returns when it is done and raises what it raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._error = error

    def wait(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error


def _load(assay: "Assay", with_sample: bool) -> None:
    assay.start()
    if with_sample:
        from app.sample import ingest_sample, is_wanted

        if is_wanted(assay):
            print("Ingesting the sample corpus (once) ...", file=sys.stderr)
            ingest_sample(assay, SAMPLES)


def _warm_up(settings: Settings, assay: "Assay", predictions: "Once[Predictions]") -> None:
    """Tabular models first where there are any: they take less to load, and are asked by machines."""
    if any(settings.tabular_models.glob("*@*/manifest.json")):
        predictions().warm_up()
    assay.warm_up()


def _welcome(settings: Settings, assay: "Assay", seconds: float) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    base = f"http://{host}:{settings.port}"
    print(
        f"""
Assay is ready ({assay.keeper.snapshot().n_chunks} chunks, {seconds:.1f} s).

  Ask in the browser   {base}/
  API documentation    {base}/docs

  curl -s {base}/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{{"model": "assay", "messages": [{{"role": "user", "content": "{SAMPLE_QUESTION}"}}]}}'

Stop with Ctrl-C.
""",
        flush=True,
    )
