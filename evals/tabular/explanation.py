"""Why a score is what it is: SHAP contributions by the table's own columns, in log-odds, that add up to the score. Draws nothing.

explainer = Explainer(model)                      # data.tabular.model.TabularModel; keep it, it holds what is slow to make
explainer.row({"age": 41, ...})                   # Explanation: base + contributions + calibration = the score's log-odds
explain_row(model, row)                           # the same, with an explainer kept by the model's digest

Contributions are exact for each kind: of trees by TreeSHAP (Lundberg et al., Nature Machine Intelligence 2020, path-dependent, as
`shap.TreeExplainer` gives it), XGBoost by its own code, which shap calls too; of logistic regression in closed form against the
mean of the held-out rows. A forest adds probabilities, so its contributions are stretched by (log-odds gained) / (probability gained) to
add up to log-odds. Platt's calibration scales contributions; what an isotonic one adds is told apart, as `calibration`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import pandas as pd

from data.errors import InvalidInput
from data.tabular.calibration import PlattCalibration, logit
from data.tabular.model import Measured, TabularModel

N_BACKGROUND = 1000


@dataclass(frozen=True)
class Explanation:
    """`base` is the log-odds before anything is known of the row; contributions are by column, the greatest first."""

    base: float
    contributions: dict[str, float]
    calibration: float
    """What calibration adds beyond a scaling: 0 without one, or with Platt's (but for rounding)."""
    log_odds: float
    score: float


@dataclass(frozen=True)
class Explained:
    """Many rows: `contributions` float64 [n, columns] in log-odds, with `columns` and the row's `values` [n, columns]."""

    columns: tuple[str, ...]
    contributions: np.ndarray
    values: pd.DataFrame
    base: np.ndarray
    calibration: np.ndarray
    log_odds: np.ndarray

    @property
    def importance(self) -> dict[str, float]:
        """Mean absolute contribution by column, the greatest first."""
        means = np.abs(self.contributions).mean(axis=0)
        return {self.columns[at]: float(means[at]) for at in np.argsort(-means, kind="stable")}


class _Contributions(Protocol):
    def __call__(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """float64 [n, features] and [n]: contributions and base, in the log-odds of the raw score."""
        ...


class Explainer:
    """Explains one model; building it is the slow part. Raises: InvalidInput for a kind it does not know."""

    def __init__(self, model: TabularModel) -> None:
        if model.kind not in _KINDS:
            raise InvalidInput(
                f"{model.ref} is a {model.kind}; it cannot be explained.",
                field="model",
                next_step=f"Kinds with explanations: {', '.join(_KINDS)}.",
            )
        self.model = model
        self.columns: tuple[str, ...] = tuple(dict.fromkeys(model.features.feature_columns))
        places = {column: at for at, column in enumerate(self.columns)}
        of_feature = np.array([places[column] for column in model.features.feature_columns])
        self._order = np.argsort(of_feature, kind="stable")
        self._starts = np.searchsorted(of_feature[self._order], np.arange(len(self.columns)))
        self._contributions: _Contributions = _KINDS[model.kind](model)

    def row(self, row: Mapping[str, Any]) -> Explanation:
        """One request. Raises: InvalidInput as `FeatureTransformer.transform_row`."""
        found, base, rest, log_odds, score = self._explained(self.model.matrix([row]))
        order = np.argsort(-np.abs(found[0]), kind="stable")
        by_column = {self.columns[at]: float(found[0, at]) for at in order}
        return Explanation(float(base[0]), by_column, float(rest[0]), float(log_odds[0]), float(score[0]))

    def rows(self, frame: pd.DataFrame) -> Explained:
        """A table. Raises: InvalidInput as `FeatureTransformer.transform`."""
        found, base, rest, log_odds, _ = self._explained(self.model.matrix(frame))
        values = frame[list(self.columns)].reset_index(drop=True)
        return Explained(self.columns, found, values, base, rest, log_odds)

    def _explained(self, matrix: np.ndarray) -> tuple[np.ndarray, ...]:
        by_feature, base = self._contributions(matrix)
        score = self.model.scores_of_features(matrix)
        log_odds = logit(score)
        by_column = np.add.reduceat(by_feature[:, self._order], self._starts, axis=1)
        if isinstance(self.model.calibration, PlattCalibration):
            slope, intercept = self.model.calibration.slope, self.model.calibration.intercept
            by_column, base = by_column * slope, base * slope + intercept
        return by_column, base, log_odds - base - by_column.sum(axis=1), log_odds, score


def explain_row(model: TabularModel, row: Mapping[str, Any]) -> Explanation:
    """Contributions of one row by column. Raises: InvalidInput for a row that does not fit, or an unsaved model's kind."""
    if not model.digest:
        return Explainer(model).row(row)
    return _kept(_ByDigest(model)).row(row)


@dataclass(frozen=True)
class GroupDifference:
    """Why one group scores higher than the other: mean contributions of the one less the other's, by column, with intervals."""

    n_rows: tuple[int, int]
    log_odds: float
    """Mean of the first group less the second's: the sum of the contributions and of `calibration`."""
    contributions: dict[str, Measured]
    calibration: float


def group_difference(explained: Explained, is_first: np.ndarray) -> GroupDifference:
    """Of a mask, bool [n]; intervals by the normal approximation (Welch). Raises: InvalidInput for a group of fewer than two rows."""
    sizes = int(is_first.sum()), int((~is_first).sum())
    if min(sizes) < 2:
        raise InvalidInput(
            f"The groups have {sizes[0]} and {sizes[1]} rows; each needs two.",
            field="group",
            next_step="Take more rows.",
        )
    first, second = explained.contributions[is_first], explained.contributions[~is_first]
    means = first.mean(axis=0) - second.mean(axis=0)
    errors = 1.96 * np.sqrt(first.var(axis=0, ddof=1) / sizes[0] + second.var(axis=0, ddof=1) / sizes[1])
    order = np.argsort(-np.abs(means), kind="stable")
    found = {
        explained.columns[at]: Measured(*map(float, (means[at], means[at] - errors[at], means[at] + errors[at])))
        for at in order
    }
    apart = [one[is_first].mean() - one[~is_first].mean() for one in (explained.log_odds, explained.calibration)]
    return GroupDifference(sizes, float(apart[0]), found, float(apart[1]))


@dataclass(frozen=True)
class _ByDigest:
    model: TabularModel

    def __hash__(self) -> int:
        return hash(self.model.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByDigest) and other.model.digest == self.model.digest


@lru_cache(maxsize=8)
def _kept(key: _ByDigest) -> Explainer:
    return Explainer(key.model)


class _Boosted:
    def __init__(self, model: TabularModel) -> None:
        import xgboost

        self._matrix_of = xgboost.DMatrix
        self._many = model.estimator.native
        self._one = self._many.copy()
        self._one.set_param({"nthread": 1})
        self._types = self._many.feature_types
        self._names = self._many.feature_names

    def __call__(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        is_one = len(matrix) == 1
        held = self._matrix_of(
            matrix,
            feature_types=self._types,
            feature_names=self._names,
            enable_categorical="c" in (self._types or ()),
            nthread=1 if is_one else None,
        )
        found = (self._one if is_one else self._many).predict(held, pred_contribs=True).astype(np.float64)
        return found[:, :-1], found[:, -1]


class _Linear:
    def __init__(self, model: TabularModel) -> None:
        self._coefficients = np.asarray(model.estimator.native["coefficients"], np.float64)
        if model.reference.empty:
            raise InvalidInput(
                f"{model.ref} has no held-out rows, so there is no mean to explain against.",
                field="model",
                next_step="Train it again.",
            )
        self._center = model.matrix(model.reference.head(N_BACKGROUND)).astype(np.float64).mean(axis=0)
        self._base = float(model.estimator.native["intercept"] + self._center @ self._coefficients)

    def __call__(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (matrix - self._center) * self._coefficients, np.full(len(matrix), self._base)


class _Forest:
    def __init__(self, model: TabularModel) -> None:
        import shap

        forest = model.estimator.native
        self._explainer = shap.TreeExplainer(forest, feature_perturbation="tree_path_dependent")
        self._positive = int(np.flatnonzero(forest.classes_ == 1)[0])

    def __call__(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = np.asarray(self._explainer.shap_values(matrix, check_additivity=False))[..., self._positive]
        before = np.full(len(matrix), float(np.atleast_1d(self._explainer.expected_value)[self._positive]))
        gained = found.sum(axis=1)
        base = logit(before)
        stretch = np.divide(
            logit(before + gained) - base, gained, out=1 / (before * (1 - before)), where=np.abs(gained) > 1e-9
        )
        return found * stretch[:, None], base


_KINDS = {"xgboost": _Boosted, "logistic_regression": _Linear, "random_forest": _Forest}
