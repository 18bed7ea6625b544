"""A real product that answers, over loopback and in process; and a browser that may talk to nobody else."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.api.service import Product
from app.assay import Assay, Placement, Stores
from app.dashboard import build_dashboard
from app.encoders import Encoders
from app.keys import KeyStore
from app.settings import Settings
from app.wiring import build_rag
from data.reading import Reader
from retrieval.catalog import Catalog
from retrieval.config import IndexConfig, IngestConfig, SearchConfig
from retrieval.embedding import HashingEmbedder
from retrieval.ingest import Ingester
from retrieval.keeper import Keeper
from serving.local.reader import ReaderConfig
from tests.app.api.conftest import _quiet, assay, client, local_client, product, serve  # noqa: F401
from tests.app.api.fake_assay import fake_product
from tests.databases import new_database

LEAVE = """# Parental leave

Every parent gets eighty days of paid leave for each child.

| Child | Days |
|---|---|
| First | 80 |
| Second | 90 |

# Tea

Tea is free in every kitchen.
"""
HOSTILE = """# Kettles <script>window.hacked = 1</script>

The kettle <img src=x onerror="window.hacked = 2"> boils in [four minutes](javascript:window.hacked=3) on every floor.

![beacon](https://evil.example/pixel.png) <a href="https://evil.example/">Click here</a>

| Kettle | <b onmouseover="window.hacked = 4">Minutes</b> |
|---|---|
| <svg onload="window.hacked = 5"> | 4 |
"""


@pytest.fixture
def real_product(tmp_path) -> Iterator[Product]:
    """Everything real but the embedder (hashed words) and the reader's threshold, which suits it."""
    database = new_database(tmp_path / "assay.db")
    catalog, embedder = Catalog(database), HashingEmbedder()
    encoders = Encoders(database, lambda model: embedder)
    settings = Settings(home=tmp_path, reader=ReaderConfig(threshold=0.3))
    stores = Stores(
        database=database,
        catalog=catalog,
        keeper=Keeper(catalog, tmp_path / "index", lambda: (embedder.id, embedder.dim), IndexConfig()),
        encoders=encoders,
        ingester=Ingester(catalog, encoders.active, IngestConfig()),
        reader=Reader(),
        search=SearchConfig(),
        var=tmp_path,
        make_rag=lambda opened: build_rag(settings, opened),
    )
    real = Assay(stores)
    real.start()
    yield Product(assay=real, keys=KeyStore(database), embedder=lambda: real.embedder.id)
    real.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory) -> Path:
    """A folder with a database in which everything that the dashboard shows has happened; made once, to be copied."""
    from tests.app.web.watched import fill

    home = tmp_path_factory.mktemp("watched")
    database = new_database(home / "keys.db")
    fill(database, home / "var")
    database.close()
    return home


@pytest.fixture(scope="module")
def watched(filled, tmp_path_factory) -> Iterator[Product]:
    """A product with a dashboard over a copy of `filled`: a module's tests share it and change nothing but keys."""
    home = tmp_path_factory.mktemp("dashboard")
    shutil.copytree(filled, home, dirs_exist_ok=True)
    made = fake_product(home)
    database = made.keys._database
    yield replace(made, dashboard=build_dashboard(Settings(home=home), database))
    database.close()


@pytest.fixture
def real_client(real_product):
    with local_client(real_product) as real:
        yield real


@pytest.fixture
def add(real_product) -> Callable[..., str]:
    """Store a text: `add(name, text, groups=..., tenant=...) -> document id`."""

    def store(name: str, text: str, **placed) -> str:
        placed["groups"] = frozenset(placed.get("groups", ()))
        document, _ = real_product.assay.add_document(name, text.encode(), Placement(**placed))
        return document.id

    return store


@pytest.fixture(scope="module")
def chromium():
    """Stopped with its module: while Playwright runs, its thread has an event loop, and no test can start one."""
    from playwright.sync_api import sync_playwright

    flags = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
    with sync_playwright() as playwright:
        options = {"executable_path": shutil.which("chromium"), "args": [*flags.split(), "--no-first-run"]}
        browser = playwright.chromium.launch(**options, env=dict(os.environ))
        yield browser
        browser.close()


class Visitor:
    """A browser window. `problems` collects script errors, console errors, dialogs, and requests to other hosts."""

    def __init__(self, browser, base: str, **options) -> None:
        self.context = browser.new_context(base_url=base, **options)
        self.context.set_default_timeout(15_000)
        self.problems: list[str] = []
        self.expected: set[int] = set()
        self._base = base
        self.context.on("request", self._check_request)
        self.context.on("console", self._check_console)
        self.context.on("weberror", lambda e: self.problems.append(f"script error: {e.error}"))
        self.context.on("dialog", self._check_dialog)
        self.page = self.context.new_page()

    def ask(self, question: str) -> None:
        self.page.get_by_label("Your question").fill(question)
        self.page.keyboard.press("Enter")

    def _check_request(self, request) -> None:
        if not request.url.startswith((self._base, "data:", "blob:")):
            self.problems.append(f"request to {request.url}")

    def _check_console(self, message) -> None:
        refused = any(f"status of {status} " in message.text for status in self.expected)
        if message.type in ("error", "warning") and not refused:
            self.problems.append(f"console: {message.text}")

    def _check_dialog(self, dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def visit(chromium):
    """Open a browser window: `visit(base, **options) -> Visitor`. It must end without problems."""
    visitors: list[Visitor] = []

    def opened(base: str, **options) -> Visitor:
        visitors.append(Visitor(chromium, base, **options))
        return visitors[-1]

    yield opened
    for visitor in visitors:
        visitor.context.close()
    assert [p for v in visitors for p in v.problems] == []
