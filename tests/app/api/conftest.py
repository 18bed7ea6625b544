import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import structlog
import uvicorn
from fastapi.testclient import TestClient

from app.api.application import create_app
from app.api.config import ApiConfig
from tests.app.api.fake_assay import FakeAssay, fake_product


@pytest.fixture(autouse=True)
def _quiet():
    """Log lines are checked where a test captures them, and cost nothing elsewhere."""
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


@pytest.fixture
def assay() -> FakeAssay:
    return FakeAssay()


@pytest.fixture
def product(tmp_path, assay):
    product = fake_product(tmp_path, assay, models=("tiny-llm",))
    yield product
    product.keys._database.close()


@pytest.fixture
def client(product) -> Iterator[TestClient]:
    with local_client(product) as client:
        yield client


@contextmanager
def local_client(product, config: ApiConfig = ApiConfig(), **options) -> Iterator[TestClient]:
    """A client on this machine; errors nobody foresaw become responses, as on a real server."""
    app = create_app(product, config)
    options = {
        "base_url": "http://127.0.0.1",
        "client": ("127.0.0.1", 50000),
        "raise_server_exceptions": False,
    } | options
    with TestClient(app, **options) as client:
        yield client


@pytest.fixture
def serve():
    """Start a real server on loopback in a thread: `serve(product, config) -> base URL`."""
    with ExitStack() as running:
        yield lambda *args: running.enter_context(served(*args))


@contextmanager
def served(product, config: ApiConfig = ApiConfig()) -> Iterator[str]:
    """A real server on loopback in a thread, by its base URL."""
    settings = uvicorn.Config(create_app(product, config), port=0, log_config=None, timeout_graceful_shutdown=5)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
