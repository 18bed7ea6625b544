"""The command line as people meet it: in a process of its own, from another folder."""

import os
import subprocess
import sys
import time
from importlib import import_module

import pytest

from app.commands.root import VERBS
from app.settings import ROOT

SCRIPT = ROOT / ".venv" / "bin" / "assay"


@pytest.fixture
def assay(tmp_path):
    """`assay("search", "x", ASSAY_PORT="1")` runs the command in an empty folder, with an empty store."""

    def run(*args: str, **environment: str) -> subprocess.CompletedProcess:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
        settings = {"PYTHONPATH": str(ROOT), "ASSAY_HOME": str(tmp_path / "home")} | environment
        command = [sys.executable, "-m", "app", *args]
        return subprocess.run(command, cwd=tmp_path, env=clean | settings, capture_output=True, text=True, timeout=60)

    return run


def cpu_s(command: list[str]) -> float:
    """Processor time of `command`: on a busy machine the clock on the wall says nothing."""
    before = os.times()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_help_answers_at_once_and_lists_every_verb(assay):
    began = time.perf_counter()
    out = assay("--help")
    took_s = time.perf_counter() - began
    assert out.returncode == 0
    assert all(f"\n  {verb} " in out.stdout for verb in VERBS)
    assert took_s < 0.5 or min(cpu_s([sys.executable, "-m", "app", "--help"]) for _ in range(3)) < 0.5


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_there_and_its_help_ends_with_an_example(verb):
    app = import_module(f"app.commands.{verb}").app
    commands = app.registered_commands
    assert commands
    for command in commands:
        assert command.callback.__doc__
        assert "assay" in (command.epilog or ""), f"{verb}: no example"


def test_an_unknown_verb_is_wrong_use_and_the_nearest_is_named(assay):
    out = assay("serch", "leave")
    assert out.returncode == 2
    assert "Did you mean 'search'" in out.stderr


@pytest.mark.slow
def test_a_fault_of_ours_is_told_with_its_traceback_and_is_never_the_gates_fail():
    code = "import app.__main__ as m, app.commands.root as r; r.build = lambda: lambda **_: 1 / 0; m.main()"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert out.returncode == 4
    assert "ZeroDivisionError" in out.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "args", [["search"], ["search", "x", "--mode", "magic"], ["keys", "lst"], ["search", " "], ["keys", "revoke", "no"]]
)
def test_wrong_use_is_exit_code_2_without_a_traceback(assay, args):
    out = assay(*args)
    assert out.returncode == 2
    assert out.stderr
    assert "Traceback" not in out.stderr


@pytest.mark.slow
def test_wrong_settings_are_told_all_at_once(assay):
    out = assay("keys", "list", ASSAY_PROT="1", ASSAY_LLM__MODLE="x")
    assert out.returncode == 2
    assert "did you mean ASSAY_PORT?" in out.stderr
    assert "did you mean ASSAY_LLM__MODEL?" in out.stderr
    assert "Traceback" not in out.stderr


@pytest.mark.slow
def test_a_home_that_cannot_be_made_is_wrong_use(assay, tmp_path):
    (tmp_path / "file").touch()
    out = assay("keys", "list", ASSAY_HOME=str(tmp_path / "file"))
    assert (out.returncode, "Traceback" in out.stderr) == (2, False)
    assert "ASSAY_HOME" in out.stderr


@pytest.mark.slow
def test_a_database_that_does_not_answer_is_exit_code_4_without_a_traceback_or_password(assay):
    out = assay("keys", "list", ASSAY_DATABASE_URL="postgresql+psycopg://assay:hunter2@127.0.0.1:1/assay")
    assert (out.returncode, "Traceback" in out.stderr) == (4, False)
    assert "hunter2" not in out.stderr


@pytest.mark.slow
def test_the_installed_script_works_from_any_folder(tmp_path):
    if not SCRIPT.exists():
        pytest.skip("no .venv/bin/assay here: make install")
    out = subprocess.run(
        [SCRIPT, "--version"], cwd=tmp_path, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    )
    assert out.stdout.startswith("assay ")


def test_interrupting_a_command_is_exit_code_130():
    probe = "import app.commands.root as r, app.__main__ as m\n"
    probe += "def stop(**_): raise KeyboardInterrupt\nr.build = lambda: __import__('typer').main.get_command(t)\n"
    probe += "import typer; t = typer.Typer(); t.command()(lambda: stop()); m.main()"
    out = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True)
    assert out.returncode == 130
    assert out.stderr == "assay: interrupted.\n"
