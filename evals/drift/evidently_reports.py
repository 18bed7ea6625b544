"""The one file that knows evidently (0.7): its reports as HTML and JSON files, and its verdicts as plain numbers.

No type of evidently's leaves this module, so that its next release breaks nothing else.
"""

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

with warnings.catch_warnings():  # its legacy half asks numpy for names that are going
    warnings.simplefilter("ignore")
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import EmbeddingsDrift
    from evidently.metrics.embeddings import DistanceDriftMethod, MMDDriftMethod, ModelDriftMethod, RatioDriftMethod
    from evidently.presets import DataDriftPreset

METHODS = {
    "model": ModelDriftMethod,
    "mmd": MMDDriftMethod,
    "distance": DistanceDriftMethod,
    "ratio": RatioDriftMethod,
}
MOST_ROWS = 2000
"""Of each side for embeddings: evidently's MMD takes time and memory with the square of the rows."""
MOST_TABLE_ROWS = 20_000


def table_report(reference: pd.DataFrame, window: pd.DataFrame, stem: Path) -> tuple[Path, Path]:
    """Write `DataDriftPreset` as STEM.html and STEM.json."""
    with _quiet():
        snapshot = Report([DataDriftPreset()]).run(
            _dataset(_some(window, MOST_TABLE_ROWS)), _dataset(_some(reference, MOST_TABLE_ROWS))
        )
        return _saved(snapshot, stem)


def embedding_report(
    reference: NDArray, window: NDArray, stem: Path, methods: Sequence[str] = ("model", "ratio")
) -> tuple[Path, Path]:
    """Write `EmbeddingsDrift` by each method as STEM.html and STEM.json."""
    with _quiet():
        return _saved(_embeddings(reference, window, methods), stem)


def embedding_verdicts(
    reference: NDArray, window: NDArray, methods: Sequence[str] = tuple(METHODS)
) -> dict[str, tuple[float, bool]]:
    """Value and verdict of each method at evidently's own defaults."""
    with _quiet():
        snapshot = _embeddings(reference, window, methods)
        values = [metric["value"] for metric in json.loads(snapshot.json())["metrics"]]
    return {name: (float(value), _is_drift(name, float(value))) for name, value in zip(methods, values, strict=True)}


def table_verdict(reference: pd.DataFrame, window: pd.DataFrame) -> tuple[float, bool]:
    """The share of columns that drift, and whether the preset calls that a drift of the table (half of them)."""
    with _quiet():
        snapshot = Report([DataDriftPreset()]).run(_dataset(window), _dataset(reference))
        metrics = json.loads(snapshot.json())["metrics"]
    value = next(metric["value"] for metric in metrics if metric["metric_name"].startswith("DriftedColumnsCount"))
    return float(value["share"]), float(value["share"]) >= 0.5


def _is_drift(method: str, value: float) -> bool:
    """As evidently decides: every method calls a value above its threshold a drift."""
    return value > METHODS[method]().threshold


def _embeddings(reference: NDArray, window: NDArray, methods: Sequence[str]):
    columns = [f"d{k}" for k in range(reference.shape[1])]
    definition = DataDefinition(embeddings={"questions": columns})
    sides = [
        Dataset.from_pandas(pd.DataFrame(_rows(side), columns=columns), data_definition=definition)
        for side in (window, reference)
    ]
    return Report([EmbeddingsDrift(embeddings_name="questions", drift_method=METHODS[name]()) for name in methods]).run(
        *sides
    )


def _saved(snapshot, stem: Path) -> tuple[Path, Path]:
    html, facts = stem.with_suffix(".html"), stem.with_suffix(".json")
    stem.parent.mkdir(parents=True, exist_ok=True)
    snapshot.save_html(str(html))
    snapshot.save_json(str(facts))
    return html, facts


def _dataset(frame: pd.DataFrame):
    """Categories as words: evidently 0.7 knows no categorical dtype."""
    plain = frame.copy()
    for name in plain.select_dtypes(["category", "boolean", "bool"]):
        plain[name] = plain[name].astype(object).where(plain[name].notna(), None)
    numbers = [str(n) for n in plain.select_dtypes("number")]
    words = [
        str(n) for n in plain.columns if str(n) not in numbers and not pd.api.types.is_datetime64_any_dtype(plain[n])
    ]
    return Dataset.from_pandas(
        plain, data_definition=DataDefinition(numerical_columns=numbers, categorical_columns=words)
    )


def _rows(side: NDArray) -> NDArray:
    return (
        side
        if len(side) <= MOST_ROWS
        else side[np.sort(np.random.default_rng(0).choice(len(side), MOST_ROWS, replace=False))]
    )


def _some(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    return frame if len(frame) <= most else frame.sample(most, random_state=0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Its legacy half warns of its own dependencies (pydantic, numpy, scipy) at each run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
