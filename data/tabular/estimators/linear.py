"""Logistic regression as its coefficients: numpy and JSON, whoever fitted it."""

import json
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.errors import InvalidInput


class _Saved(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    coefficients: tuple[float, ...] = Field(min_length=1)
    intercept: float = Field(allow_inf_nan=False)


class LinearEstimator:
    kind = "logistic_regression"

    def __init__(self, coefficients: np.ndarray, intercept: float) -> None:
        self._coefficients = np.array(coefficients, dtype=np.float64)
        self._intercept = float(intercept)
        self.n_features = len(self._coefficients)
        self.native: Any = {"coefficients": self._coefficients, "intercept": self._intercept}

    def raw_scores(self, matrix: np.ndarray) -> np.ndarray:
        """Multiplied and summed row by row: a matrix product would round one row and many rows differently."""
        products = np.ascontiguousarray(matrix, dtype=np.float64) * self._coefficients
        margin = products.sum(axis=1) + self._intercept
        return 0.5 * (1 + np.tanh(0.5 * margin))  # the sigmoid, without overflow

    def to_bytes(self) -> bytes:
        saved = _Saved(coefficients=tuple(self._coefficients.tolist()), intercept=self._intercept)
        return json.dumps(saved.model_dump(), sort_keys=True, allow_nan=False).encode()


def from_bytes(content: bytes) -> LinearEstimator:
    try:
        saved = _Saved.model_validate_json(content)
    except ValidationError as error:
        raise InvalidInput(f"These are no coefficients: {error.errors()[0]['msg']}.", field="estimator") from error
    return LinearEstimator(np.array(saved.coefficients), saved.intercept)
