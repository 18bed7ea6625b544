"""The one way from rows to decisions, pure: HTTP, KServe, batch and commands all call it. Logs, measures and stores nothing.

predictor = Predictor(load_model(folder))
predictor.score_rows([{"age": 41, ...}])      # rows of a request, checked field by field
predictor.score_table(frame)                  # a settled frame that was checked (data.tabular.contract)

Both give the same bits for the same rows: the features are `FeatureTransformer`'s, the score is the model's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from data.tabular.model import TabularModel
from serving.tabular.row_contract import Row, RowContract


@dataclass(frozen=True)
class Scored:
    """What a model made of some rows, in their order."""

    features: np.ndarray
    """float32 [n, n_features], as the model read them."""
    scores: np.ndarray
    """float64 [n]: probabilities of the positive class."""
    decisions: np.ndarray
    """bool [n]: score >= threshold."""

    def __len__(self) -> int:
        return len(self.scores)


class Predictor:
    """Cheap to build, safe to share between threads."""

    def __init__(self, model: TabularModel) -> None:
        self.model = model
        self.contract = RowContract(model.spec, model.features.columns)

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def version(self) -> str:
        return self.model.version

    def score_rows(self, rows: Sequence[Row]) -> Scored:
        """Raises: RowsRefused, naming every wrong field."""
        self.contract.check(rows)
        return self._scored(self.model.matrix(rows))

    def score_table(self, frame: pd.DataFrame) -> Scored:
        """A frame as `data.tabular.contract.checked(frame, spec, needs_target=False)` leaves it. Raises: InvalidInput."""
        return self._scored(self.model.matrix(frame))

    def described(self) -> dict[str, Any]:
        """What the model is, in plain values."""
        model = self.model
        return {
            "name": model.name,
            "version": model.version,
            "digest": model.digest,
            "kind": model.kind,
            "table": model.spec.name,
            "target": model.spec.target,
            "positive": model.spec.positive,
            "threshold": model.threshold,
            "columns": list(model.features.columns),
        }

    def _scored(self, matrix: np.ndarray) -> Scored:
        scores = self.model.scores_of_features(matrix)
        return Scored(matrix, scores, self.model.decisions(scores))
