"""What every test may use. Markers that cannot run here are skipped, saying which command would make them run."""

import ast
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from app.settings import SILENT
from tests.postgres import postgres_server, postgres_url  # noqa: F401
from tests.running_server import RunningServer, running_server
from tests.vllm_server import real_vllm, toy_base  # noqa: F401

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers fill the cores; threads of both would wait for each other
os.environ.update(SILENT)

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"
NEEDS = {
    "browser": (lambda: shutil.which("chromium"), "apt-get install chromium"),
    "postgres": (lambda: list(Path("/usr/lib/postgresql").glob("*/bin/initdb")), "apt-get install postgresql"),
    "gpu": (lambda: shutil.which("nvidia-smi"), "run on a machine with a CUDA device"),
    "vllm": (lambda: (Path(__file__).parent.parent / ".venv-vllm" / ".ready").exists(), "make vllm"),
}


def pytest_addoption(parser):
    parser.addoption("--chaos-rounds", type=int, default=4, help="kill -9 rounds of the chaos test (make chaos: 50)")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave a module unread when `-m "not slow ..."` leaves out all of it: importing torch alone takes seconds."""
    asked = config.option.markexpr
    left_out = set(re.findall(r"\bnot (\w+)", asked)) if " or " not in asked else set()
    return True if left_out and collection_path.suffix == ".py" and left_out & _marks(collection_path) else None


def _marks(module: Path) -> set[str]:
    """The names in a module's `pytestmark`."""
    text = module.read_text("utf-8")
    if "\npytestmark = " not in text:
        return set()
    marks = [
        node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "pytestmark"
    ]
    return {node.attr for mark in marks for node in ast.walk(mark) if isinstance(node, ast.Attribute)}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    for name, (present, remedy) in NEEDS.items():
        if not present():
            for item in items:
                if name in item.keywords:
                    item.add_marker(pytest.mark.skip(reason=f"{name}: not here; {remedy}"))
    _share_out(items)


def _share_out(items: list[pytest.Item]) -> None:
    """For `--dist loadgroup --no-loadscope-reorder`: a file stays on one worker, all that ask vLLM on the same one, long files go first."""
    groups = {item: "vllm" if "vllm" in item.keywords else str(item.path) for item in items}
    n_slow = Counter(groups[item] for item in items if "slow" in item.keywords or "browser" in item.keywords)
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (groups[item] != "vllm", -n_slow[groups[item]]))


@pytest.fixture(autouse=True)
def _log_outlives_no_test() -> Iterator[None]:
    """Commands that run in this process log to a captured stream, which is closed when their test ends."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets beside the checkout; tests that need it skip where it is absent."""
    if not SHARED.exists():
        pytest.skip("needs the data sets in ../shared/data")
    return SHARED


@pytest.fixture(scope="session")
def sample_server(tmp_path_factory) -> Iterator[RunningServer]:
    """`assay serve --sample`, one for all tests that only read from it. No key exists."""
    with running_server(tmp_path_factory.mktemp("sample"), "--sample") as server:
        yield server
