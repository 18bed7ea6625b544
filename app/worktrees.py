"""A suite on another revision of this checkout: a temporary worktree, run as a process of its own by the same interpreter.

It has a store of its own, so a revision with another schema cannot touch this one's; only the encoder's built graphs are shared.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from pydantic import ValidationError

from app.evaluation import Evaluation
from app.settings import ROOT, child_environment
from data.errors import InfrastructureError, InvalidInput
from data.records import EvalRow

LONGEST_S = 1800
SHARED = ("models",)
"""Below var/: what is made once for all stores."""


def rows_of_revision(revision: str, ready: Evaluation) -> list[EvalRow]:
    """Every row of the suite there. Raises: InvalidInput for no such revision, InfrastructureError when it does not run."""
    _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", field=revision)
    with _worktree(revision, ready.settings.var) as folder:
        suite = folder / "gated-suite.yaml"
        suite.write_text(_written(ready), encoding="utf-8")
        ran = _run(folder, "eval", "run", str(suite), "--json", "--no-track")
        shown = _run(folder, "eval", "show", str(ran["run"]), "--rows", "--json")
    try:
        known = set(EvalRow.model_fields)
        return [EvalRow.model_validate({k: v for k, v in row.items() if k in known}) for row in shown["rows"]]
    except (ValidationError, KeyError, TypeError) as error:
        raise InfrastructureError(
            f"The rows of {revision} cannot be read here: {str(error)[:300]}",
            next_step="It is from before a change of the rows; run both sides on revisions after it.",
        ) from error


def _written(ready: Evaluation) -> str:
    """The suite as it is here, with its samples, so that both sides are asked the same."""
    body = ready.suite.model_dump(mode="json", exclude={"gates", "rules", "description"}, exclude_defaults=True)
    body["dataset"]["path"] = str(ready.suite.dataset.path)
    body["scorers"] = [{"name": s.name, **s.options} for s in ready.suite.scorers]
    return yaml.safe_dump(body, sort_keys=False)


@contextmanager
def _worktree(revision: str, var: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="assay-gate-") as temporary:
        folder = Path(temporary) / "checkout"
        _git("worktree", "add", "--detach", str(folder), revision, field=revision)
        try:
            for name in SHARED:
                (var / name).mkdir(parents=True, exist_ok=True)
                (folder / "var").mkdir(exist_ok=True)
                (folder / "var" / name).symlink_to((var / name).resolve(), target_is_directory=True)
            yield folder
        finally:
            _git("worktree", "remove", "--force", str(folder), field=revision)


def _run(folder: Path, *arguments: str) -> dict:
    asked = [sys.executable, "-m", "app", *arguments]
    environment = child_environment(ASSAY_HOME=str(folder), PYTHONPATH=str(folder))
    try:
        done = subprocess.run(
            asked, cwd=folder, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(f"The other revision took longer than {LONGEST_S} s.") from error
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        told = " ".join(done.stderr.split())[-400:]
        raise InfrastructureError(
            f"The other revision ended with {done.returncode} and no JSON: {told}",
            next_step=f"Try it there by hand: assay {' '.join(arguments[:2])}",
        ) from error


def _git(*arguments: str, field: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InvalidInput(
            f"git {arguments[0]} failed for {field!r}: {done.stderr.strip() or 'no such revision'}",
            field="ref",
            next_step="A shallow clone lacks old revisions: git fetch --unshallow",
        )
    return done.stdout.strip()
