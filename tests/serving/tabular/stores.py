"""Stores of small saved models for tests: no training run, every kind of estimator."""

import atexit
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from data.tabular.model_files import save_model
from serving.tabular.model_store import ModelStore
from tests.data.tabular.small_model import small_model
from tests.data.tabular.small_table import loans_rows


def put_model(root: Path, version: str = "1", kind: str = "logistic_regression", **changes: object) -> ModelStore:
    """Save a version of `loans` under `root`; equal ones are fitted once."""
    shutil.copytree(_saved(version, kind, tuple(changes.items())), root / f"loans@{version}")
    return ModelStore(root)


@cache
def _saved(version: str, kind: str, changes: tuple) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="loans-")) / f"loans@{version}"
    atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
    save_model(replace(small_model(kind, **dict(changes)), version=version), folder)
    return folder


def request_rows(n: int = 60) -> list[dict]:
    """Rows as a client sends them: without the label."""
    return [{name: value for name, value in row.items() if name != "repaid"} for row in loans_rows(n)]
