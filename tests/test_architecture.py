"""The rules of the house that a machine can check."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ["app", "finetune", "retrieval", "evals", "serving", "prompts", "data"]
HEAVY = [
    "torch",
    "transformers",
    "sentence_transformers",
    "faiss",
    "tantivy",
    "onnxruntime",
    "langgraph",
    "mlflow",
    "pandas",
]
SOURCES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts]


@pytest.mark.parametrize("package", PACKAGES)
def test_each_top_level_package_is_ours(package):
    assert Path(import_module(package).__file__).parent == ROOT / package


@pytest.mark.parametrize(
    "statement", ["import app.__main__; from app.commands.root import build; build()", "import app.api"]
)
def test_the_command_line_and_the_api_load_nothing_heavy(statement):
    probe = f"import sys; {statement}; print([m for m in {HEAVY} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_layers_hold():
    out = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert out.returncode == 0, out.stdout


def test_package_inits_hold_a_docstring_and_nothing_else():
    for init in (p for p in SOURCES if p.name == "__init__.py"):
        body = ast.parse(init.read_text()).body
        assert len(body) == 1, init
        assert isinstance(body[0], ast.Expr), init


@pytest.mark.slow
def test_modules_open_with_a_docstring_and_are_of_readable_length():
    for path in SOURCES:
        text = path.read_text()
        assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
        assert len(text.splitlines()) <= 420, f"{path} is too long"


def test_no_module_is_named_for_its_library_or_for_nothing():
    banned = {
        "utils",
        "common",
        "helpers",
        "core",
        "misc",
        "base",
        *HEAVY,
        "fastapi",
        "langchain",
        "sqlalchemy",
        "alembic",
    }
    assert not [path for path in SOURCES if path.stem in banned]


def test_only_settings_reads_the_environment():
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if any(word in path.read_text() for word in ("os.environ", "os.getenv", "getenv("))
    }
    launchers = {"finetune/launch.py"}  # accelerate and torchrun tell ranks through the environment
    benchmarks = {path for path in readers if path.startswith("app/bench/")}  # start the product as other processes
    assert readers - launchers - benchmarks <= {"app/settings.py"}
