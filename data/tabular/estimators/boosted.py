"""XGBoost's trees in its own binary JSON (UBJ)."""

import json
from functools import cached_property

import numpy as np
import xgboost
from xgboost.core import XGBoostError

from data.errors import InvalidInput

FEW_ROWS = 64
"""So many rows are scored on one thread: starting others would take longer."""


class BoostedEstimator:
    kind = "xgboost"

    def __init__(self, booster: xgboost.Booster) -> None:
        self.native = booster
        self.n_features = int(booster.num_features())
        self._n_rounds = booster.num_boosted_rounds()

    def raw_scores(self, matrix: np.ndarray) -> np.ndarray:
        booster = self._one_thread if len(matrix) <= FEW_ROWS else self.native
        return np.asarray(booster.inplace_predict(np.ascontiguousarray(matrix, np.float32)), dtype=np.float64)

    def to_bytes(self) -> bytes:
        return bytes(self.native.save_raw(raw_format="ubj"))

    @cached_property
    def _one_thread(self) -> xgboost.Booster:
        copy = self.native.copy()
        copy.set_param({"nthread": 1})
        return copy


def from_bytes(content: bytes) -> BoostedEstimator:
    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(content))
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    except (XGBoostError, ValueError, KeyError) as error:
        raise InvalidInput(
            f"These are no trees of XGBoost: {str(error).splitlines()[0]}.", field="estimator"
        ) from error
    if objective != "binary:logistic":
        raise InvalidInput(f"The trees were trained for {objective!r}, not binary:logistic.", field="estimator")
    return BoostedEstimator(booster)
