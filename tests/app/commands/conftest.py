"""A command run in this process over a small store of the real product: `run("ask", "Is tea free?")`."""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from app.__main__ import main
from app.settings import load_settings
from app.wiring import open_assay
from tests.app.answering_product import LEAVE, TEA, put
from tests.built_graphs import lend_graphs


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture(scope="session")
def filled_home(tmp_path_factory) -> Path:
    """Two documents, stored once; every test gets a copy."""
    home = tmp_path_factory.mktemp("filled") / "home"
    assay = open_assay(load_settings(home=lend_graphs(home)))
    put(assay, "leave.md", LEAVE)
    put(assay, "tea.md", TEA)
    assay.close()
    return home


@pytest.fixture
def home(filled_home, tmp_path) -> Path:
    copy = tmp_path / "home"
    shutil.copytree(filled_home, copy, ignore=shutil.ignore_patterns("models"))
    (copy / "var" / "models").symlink_to(filled_home / "var" / "models")  # large, and the same for all
    return copy


@pytest.fixture
def run(home, monkeypatch, capfd):
    for name in [name for name in os.environ if name.startswith("ASSAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ASSAY_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*args: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["assay", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        captured = capfd.readouterr()
        return Ran(int(left.value.code or 0), captured.out, captured.err)

    yield call
    structlog.reset_defaults()


@pytest.fixture
def receipt_id(run) -> str:
    return run("ask", "How many weeks of parental leave may parents take?", "--json").json["receipt_id"]


def ends_with_example(help_text: str, verb: str) -> bool:
    last = [line for line in help_text.splitlines() if line.strip()]
    return any(f"Example: assay {verb} " in line for line in last[-2:])
