"""The examples that people copy: they parse, and the commands in them exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from app.commands.gate import app
from app.settings import variables
from evals.suite import load_suite

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
GATE = re.compile(r"-m app gate ([^|\n]+)")


def commands(text: str) -> list[list[str]]:
    return [shlex.split(found.strip().rstrip("\\")) for found in GATE.findall(text)]


@pytest.mark.parametrize("name", ["gate-workflow.yml", "pre-commit-config.yaml"])
def test_its_commands_are_understood(name):
    text = (EXAMPLES / name).read_text()
    assert yaml.safe_load(text)
    found = commands(text)
    assert found
    for arguments in found:
        context = typer.main.get_command(app).make_context("gate", list(arguments))
        assert context.params["baseline"].startswith("git:")
        assert context.params["candidate"] == "current"


def test_the_workflow_runs_shipped_suites_on_paths_that_exist_and_tells_inconclusive_from_fail():
    body = yaml.safe_load((EXAMPLES / "gate-workflow.yml").read_text())
    job = body["jobs"]["gate"]
    for suite in job["strategy"]["matrix"]["suite"]:
        assert load_suite(suite).gates
    paths = body[True]["pull_request"]["paths"]  # YAML 1.1 reads `on` as true
    assert all((ROOT / path.removesuffix("/**")).exists() for path in paths)
    assert set(job["env"]) <= {name for name, _, _ in variables()}
    uses = [step["uses"] for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w/-]+@v\d+", use) for use in uses)
    verdict = job["steps"][-1]["run"]
    assert '"$CODE" = 3' in verdict
    assert verdict.rstrip().endswith('exit "$CODE"')
    assert body["permissions"] == {"contents": "read", "security-events": "write"}


@pytest.mark.parametrize("changed", ["prompts/templates/answer@2.md", "retrieval/fusion.py", "README.md"])
def test_a_changed_prompt_runs_its_suite_and_other_files_do_not(changed):
    (repo,) = yaml.safe_load((EXAMPLES / "pre-commit-config.yaml").read_text())["repos"]
    ran = [hook["id"] for hook in repo["hooks"] if re.search(hook["files"], changed)]
    expected = {"prompts": ["assay-gate-prompts"], "retrieval": ["assay-gate-retrieval"], "README.md": []}
    assert ran == expected[changed.split("/")[0]]
    assert all(hook["pass_filenames"] is False and hook["language"] == "system" for hook in repo["hooks"])
