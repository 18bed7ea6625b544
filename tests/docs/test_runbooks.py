"""Runbooks are run: every `assay` command in them exists, and the blocks that need no server are executed in their order."""

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
import typer

from app.commands.root import VERBS
from app.settings import ROOT, load_settings
from app.wiring import open_assay
from evals.drift.store import DriftStore
from tests.app.answering_product import LEAVE, put
from tests.built_graphs import lend_graphs
from tests.evals.drift.test_store import alarm, check

RUNBOOKS = sorted(p for p in (ROOT / "docs" / "runbooks").glob("*.md") if p.name != "README.md")
BLOCK = re.compile(r"^```sh( norun)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(path: Path) -> list[tuple[str, bool]]:
    return [(text, not norun) for norun, text in BLOCK.findall(path.read_text("utf-8"))]


def commands(text: str) -> list[list[str]]:
    """The `assay` commands of a block: what comes before a pipe, a redirection or another command."""
    found = []
    for line in text.splitlines():
        for part in re.split(r"\|\||&&|[|;]|>", line):
            if part.strip().startswith("assay "):
                found.append(shlex.split(part)[1:])
    return found


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_every_command_exists_and_takes_its_arguments(path):
    asked = [words for text, _ in blocks(path) for words in commands(text)]
    assert asked
    for words in asked:
        assert words[0] in VERBS, words
        command = typer.main.get_command(import_module(f"app.commands.{words[0]}").app)
        rest = words[1:]
        while isinstance(command, click.Group) or hasattr(command, "commands"):
            assert rest, words
            assert rest[0] in command.commands, words
            command, rest = command.commands[rest[0]], rest[1:]
        if "--help" not in rest:
            command.make_context(words[0], list(rest))  # raises for an option or argument that there is not


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store with a document and an open alarm, and an `assay` on the path."""
    folder = tmp_path_factory.mktemp("runbooks")
    assay = open_assay(load_settings(home=lend_graphs(folder / "home")))
    put(assay, "leave.md", LEAVE)
    store = DriftStore(assay.stores.database)
    store.save(check(), [])
    store.put_alarm(alarm("alm_1"))
    assay.close()
    script = folder / "bin" / "assay"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app "$@"\n')
    script.chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    path = f"{script.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
    return folder, clean | {"PATH": path, "PYTHONPATH": str(ROOT), "ASSAY_HOME": str(folder / "home")}


@pytest.mark.slow
@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_the_steps_that_can_be_run_here_work_in_their_order(path, filled):
    folder, environment = filled
    steps = "".join(text for text, is_run in blocks(path) if is_run)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", steps],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{steps}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_the_index_names_them_all():
    index = (ROOT / "docs" / "runbooks" / "README.md").read_text("utf-8")
    assert all(f"({path.name})" in index for path in RUNBOOKS)
