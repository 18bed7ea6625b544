"""A trained tabular model as one value: what training leaves, and evaluation, explanation and serving read. Trains and serves nothing.

model = load_model(folder)                            # data.tabular.model_files
model.scores(frame)                                   # float64 [n]: probabilities of the positive class
model.scores([{"age": 41, ...}])                      # the same for rows as they come in a request
model.decisions(scores)                               # bool [n]: score >= threshold
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd

from data.errors import InvalidInput
from data.tabular.calibration import Calibration, NoCalibration
from data.tabular.features import FeatureTransformer
from data.tabular.table_spec import TableSpec

Rows = pd.DataFrame | Sequence[Mapping[str, Any]]


class Estimator(Protocol):
    """Features to raw scores. `kind` says which module reads it back: `data.tabular.estimators`."""

    kind: str
    n_features: int
    native: Any
    """What the library itself made, for explanations: a `Booster`, a `RandomForestClassifier`, the coefficients."""

    def raw_scores(self, matrix: np.ndarray) -> np.ndarray:
        """float32 [n, n_features] to float64 [n], in 0..1; a row's score never depends on the rows beside it."""
        ...

    def to_bytes(self) -> bytes:
        """What `read_estimator` reads, without pickle."""
        ...


@dataclass(frozen=True)
class Measured:
    """A figure on the held-out part with its 95 % interval; NaN where it is undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Costs:
    """What a wrong decision costs, in any unit; a right one costs nothing."""

    false_positive: float = 1.0
    false_negative: float = 1.0


@dataclass(frozen=True)
class TabularModel:
    """Immutable. `version` and `digest` are empty until it is saved."""

    name: str
    """Lower-case letters, digits, - and _."""
    version: str
    spec: TableSpec
    """The contract that its rows keep; `data.tabular.contract.checked(rows, spec, needs_target=False)`."""
    features: FeatureTransformer
    estimator: Estimator
    calibration: Calibration = field(default_factory=NoCalibration)
    threshold: float = 0.5
    """A row is decided positive from this score on."""
    costs: Costs = Costs()
    """What the threshold was chosen for."""
    baseline: Mapping[str, Measured] = field(default_factory=dict)
    """Metrics on the held-out part, by evals.tabular's names: roc_auc, pr_auc, brier, ..."""
    reference: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Held-out rows with target and time, as the contract has them, without ids, groups numbered anew: what drift is measured against, SHAP's background."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """JSON: data hash, code revision, configuration, sizes of the parts, when, MLflow run."""
    digest: str = ""
    """sha256 over the sha256 of each of its files: equal digests, equal models."""

    def __post_init__(self) -> None:
        if self.estimator.n_features != self.features.n_features:
            raise InvalidInput(
                f"{self.name}: the estimator reads {self.estimator.n_features} features, the transformer makes "
                f"{self.features.n_features}.",
                field="features",
                next_step="They come from different runs; train again.",
            )
        if not 0 <= self.threshold <= 1:
            raise InvalidInput(f"{self.name}: the threshold is {self.threshold!r}; it lies in 0..1.", field="threshold")

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def kind(self) -> str:
        """logistic_regression, random_forest or xgboost."""
        return self.estimator.kind

    @property
    def protected(self) -> tuple[str, ...]:
        """The protected attributes of its table."""
        return tuple(self.spec.protected)

    def matrix(self, rows: Rows) -> np.ndarray:
        """float32 [n, n_features]. Raises: InvalidInput naming row, column and value."""
        if isinstance(rows, pd.DataFrame):
            return self.features.transform(rows)
        empty = np.empty((0, self.features.n_features), dtype=np.float32)
        return np.stack([self.features.transform_row(row) for row in rows]) if len(rows) else empty

    def scores(self, rows: Rows) -> np.ndarray:
        """float64 [n]: calibrated probabilities of the positive class. The contract is not checked here."""
        return self.scores_of_features(self.matrix(rows))

    def scores_of_features(self, matrix: np.ndarray) -> np.ndarray:
        """float64 [n], of float32 [n, n_features]. Raises: InvalidInput for another width."""
        if matrix.ndim != 2 or matrix.shape[1] != self.features.n_features:
            raise InvalidInput(
                f"{self.ref} reads {self.features.n_features} features per row; these have shape {matrix.shape}.",
                field="matrix",
                next_step="Make them with model.matrix(rows).",
            )
        if not len(matrix):
            return np.empty(0, dtype=np.float64)
        return self.calibration.apply(self.estimator.raw_scores(matrix))

    def decisions(self, scores: np.ndarray) -> np.ndarray:
        return scores >= self.threshold
