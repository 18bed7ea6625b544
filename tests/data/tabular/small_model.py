"""Small fitted models over the loans of `small_table`, one of each kind."""

from functools import cache

import numpy as np

from data.tabular.calibration import PlattCalibration
from data.tabular.contract import checked
from data.tabular.estimators.linear import LinearEstimator
from data.tabular.features import FeatureTransformer
from data.tabular.model import Costs, Measured, TabularModel
from data.tabular.table import target_of
from tests.data.tabular.small_table import loans_frame, loans_spec


def fitted(kind: str, matrix: np.ndarray, labels: np.ndarray):
    if kind == "logistic_regression":
        centred = matrix - matrix.mean(axis=0)
        return LinearEstimator(centred.T @ (labels - labels.mean()) / len(labels), 0.5)
    if kind == "random_forest":
        from sklearn.ensemble import RandomForestClassifier

        from data.tabular.estimators.forest import ForestEstimator

        return ForestEstimator(RandomForestClassifier(5, max_depth=4, random_state=0).fit(matrix, labels))
    import xgboost

    from data.tabular.estimators.boosted import BoostedEstimator

    settings = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}
    return BoostedEstimator(xgboost.train(settings, xgboost.DMatrix(matrix, labels), 5))


def small_model(kind: str = "logistic_regression", n: int = 60, **changes: object) -> TabularModel:
    spec, frame, features, estimator = _parts(kind, n)
    settled: dict[str, object] = {
        "name": "loans",
        "version": "1",
        "spec": spec,
        "features": features,
        "estimator": estimator,
        "calibration": PlattCalibration(slope=0.9, intercept=0.1),
        "threshold": 0.4,
        "costs": Costs(1, 5),
        "baseline": {"roc_auc": Measured(0.8, 0.7, 0.9), "precision": Measured(float("nan"), float("nan"), 1.0)},
        "reference": frame.drop(columns="loan"),
        "provenance": {"data_sha256": "ab12", "n_rows": n},
    }
    return TabularModel(**(settled | changes))


@cache
def _parts(kind: str, n: int):
    spec = loans_spec()
    frame = checked(loans_frame(n), spec)
    features = FeatureTransformer.fit(frame, spec)
    return spec, frame, features, fitted(kind, features.transform(frame), target_of(frame, spec))
