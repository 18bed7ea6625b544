"""Runs the server: loads index and models while the HTTP stack imports, then serves until told to stop."""

import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.settings import ROOT, Settings
from app.telemetry import configure_logging
from app.wiring import open_assay

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app.assay import Assay

SAMPLES = ROOT / "data" / "samples"
SAMPLE_QUESTION = "How many days of parental leave do employees get?"


def run(settings: Settings, *, with_sample: bool = False) -> None:
    """Serve on `settings.host:settings.port` until SIGINT or SIGTERM; open streams are finished first."""
    started = time.perf_counter()
    configure_logging(settings.log_level)
    assay = open_assay(settings)
    try:
        loading = _InBackground(lambda: _load(assay, with_sample))
        import uvicorn  # while the index loads

        app = build_app(settings, assay)
        loading.wait()
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.api.shutdown_grace_s,
            timeout_keep_alive=30,
        )
        _welcome(settings, assay, time.perf_counter() - started)
        uvicorn.Server(config).run()
    finally:
        assay.close()


def build_app(settings: Settings, assay: "Assay") -> "FastAPI":
    """The ASGI application over an opened product."""
    from app.api.application import create_app
    from app.api.service import Product
    from app.keys import KeyStore

    return create_app(
        Product(
            assay=assay,
            keys=KeyStore(assay.stores.database, refresh_s=settings.api.key_refresh_s),
            models=(settings.llm.model,) if settings.llm.model else (),
            embedder=lambda: assay.embedder.id,
            checks={
                "database": lambda: assay.stores.database.current_generation() and None,
                "index": lambda: assay.keeper.snapshot() and None,
            },
            gauges={
                "index_generation_lag": lambda: assay.keeper.lag,
                "index_chunks": lambda: assay.keeper.snapshot().n_chunks,
            },
        ),
        settings.api,
    )


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
    if with_sample and not assay.catalog.n_chunks():
        from app.sample import ingest_sample

        print("Ingesting the sample corpus (once) ...", file=sys.stderr)
        ingest_sample(assay, SAMPLES)


def _welcome(settings: Settings, assay: "Assay", seconds: float) -> None:
    base = f"http://{'127.0.0.1' if settings.host == '0.0.0.0' else settings.host}:{settings.port}"
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
