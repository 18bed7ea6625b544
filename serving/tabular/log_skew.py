"""Skew on live logs: the features that kept predictions were made of against those made anew of their rows, bit by bit, in two ways:
row by row as a server does it, and in bulk as training does it. Knows no command.

for found in check_log(models, predictions, "claims"): found.is_clean
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd

from data.errors import AssayError
from data.tabular.model import TabularModel
from data.tabular.skew import Mismatch, skew
from data.tabular.table import settle
from serving.tabular.model_store import ModelStore
from serving.tabular.prediction_store import SHOWN, KeptPrediction, PredictionStore, matrix_of

N_EXAMPLES = 10


@dataclass
class VersionSkew:
    """What the log of one version showed."""

    version: str
    n_rows: int = 0
    n_skewed: int = 0
    """Rows whose features are made with other bits today, one by one or in bulk."""
    n_other_scores: int = 0
    """Rows that the model scores otherwise today, of the very features that were logged."""
    by_feature: dict[str, int] = field(default_factory=dict)
    examples: list[Mismatch] = field(default_factory=list)
    """`row` counts from the first one checked."""
    error: str = ""
    """Why the version could not be checked, such as a file that is gone."""

    @property
    def is_clean(self) -> bool:
        return not (self.n_skewed or self.n_other_scores or self.error)


def check_log(
    models: ModelStore,
    predictions: PredictionStore,
    name: str,
    version: str = "",
    *,
    since: datetime | None = None,
    limit: int | None = None,
) -> list[VersionSkew]:
    """One result per version that has kept predictions, shadows' too; of the newest `limit` predictions."""
    found: dict[str, VersionSkew] = {}
    for page in predictions.each(name, version, since=since, stages=(*SHOWN, "shadow"), limit=limit):
        for one, kept in _by_version(page):
            _check(models, name, found.setdefault(one, VersionSkew(one)), kept)
    return list(found.values())


def _by_version(page: list[KeptPrediction]) -> Iterator[tuple[str, list[KeptPrediction]]]:
    by_version: dict[str, list[KeptPrediction]] = {}
    for one in page:
        by_version.setdefault(one.version, []).append(one)
    yield from by_version.items()


def _check(models: ModelStore, name: str, told: VersionSkew, kept: list[KeptPrediction]) -> None:
    first = told.n_rows
    told.n_rows += len(kept)
    try:
        model = models.predictor(name, told.version).model
        rows, logged = [one.row for one in kept], matrix_of(kept)
        one_by_one = skew(model.features, rows, logged)
        differs = _differs(in_bulk(model, rows), logged)
        scores = model.scores_of_features(logged)
    except AssayError as error:
        told.error = str(error)
        return
    for at, feature in enumerate(model.features.feature_names):
        if n := max(one_by_one.by_feature.get(feature, 0), int(differs[:, at].sum())):
            told.by_feature[feature] = told.by_feature.get(feature, 0) + n
    told.n_skewed += max(one_by_one.n_skewed, int(differs.any(axis=1).sum()))
    told.n_other_scores += int((scores != np.array([one.score for one in kept])).sum())
    room = N_EXAMPLES - len(told.examples)
    told.examples += [Mismatch(first + e.row, e.feature, e.logged, e.expected) for e in one_by_one.examples[:room]]


def in_bulk(model: TabularModel, rows: list[dict]) -> np.ndarray:
    """float32 [n, n_features] as training makes them: a table, settled, transformed at once."""
    frame = pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in model.features.columns}
    )
    settled, _ = settle(frame, model.spec)
    return model.features.transform(settled)


def _differs(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(one).view(np.int32) != np.ascontiguousarray(other).view(np.int32)
