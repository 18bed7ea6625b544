"""What a trained model came from: the data's hash, the code's revision, the versions of the libraries. No path, no user, no machine name."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from data.tabular.table_spec import TableSpec

ROOT = Path(__file__).parents[2]
LIBRARIES = (
    "numpy",
    "pandas",
    "scikit-learn",
    "xgboost-cpu",
    "skops",
    "pydantic",
    "pyarrow",
    "pandera",
    "optuna",
    "mlflow",
)
NEEDED_TO_SCORE = ("numpy", "pandas", "pyarrow", "pydantic", "pyyaml", "scikit-learn", "scipy", "skops", "xgboost-cpu")
"""What loading and scoring a saved model takes."""


def data_sha256(frame: pd.DataFrame, spec: TableSpec) -> str:
    """Of every cell in order, and of the contract: equal tables have equal hashes, wherever they were read from."""
    found = hashlib.sha256(spec.model_dump_json(exclude={"source", "description", "quality"}).encode())
    for name in frame.columns:
        cells = frame[name]
        if isinstance(cells.dtype, pd.CategoricalDtype):
            cells = cells.astype(object)
        found.update(str(name).encode())
        found.update(pd.util.hash_pandas_object(cells, index=False).to_numpy().tobytes())
    return found.hexdigest()


def code_revision() -> str:
    """git's name of the checkout, "-dirty" where files differ; "unknown" without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return run.stdout.strip() or "unknown"


def versions() -> dict[str, str]:
    return {"python": sys.version.split()[0], **dict(_installed(LIBRARIES))}


def requirements() -> list[str]:
    """Pinned, for MLflow: what `models:/name@alias` needs to be served elsewhere."""
    return [f"{name}=={found}" for name, found in _installed(NEEDED_TO_SCORE)]


def _installed(names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
