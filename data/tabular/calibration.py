"""What turns a classifier's raw score into a probability: fitted numbers as plain JSON. Numpy alone; `finetune.tabular` fits them.

Platt: sigmoid(slope * logit(score) + intercept), after Platt (1999) with Kull et al.'s logit input. Isotonic: straight lines
between the centres of the blocks of an isotonic regression (Oron and Flournoy 2017), so that order survives inside the range.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

EPSILON = 1e-7


class _Calibration(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NoCalibration(_Calibration):
    kind: Literal["none"] = "none"

    def apply(self, raw: np.ndarray) -> np.ndarray:
        return np.clip(raw, 0.0, 1.0)


class PlattCalibration(_Calibration):
    kind: Literal["platt"] = "platt"
    slope: float = Field(allow_inf_nan=False)
    intercept: float = Field(allow_inf_nan=False)

    def apply(self, raw: np.ndarray) -> np.ndarray:
        return _sigmoid(self.slope * logit(raw) + self.intercept)


class IsotonicCalibration(_Calibration):
    kind: Literal["isotonic"] = "isotonic"
    at: tuple[float, ...] = Field(min_length=1)
    """Raw scores, rising."""
    probability: tuple[float, ...] = Field(min_length=1)
    """What they mean, never falling; beyond the ends the outermost value holds."""

    @model_validator(mode="after")
    def _rises(self) -> "IsotonicCalibration":
        if len(self.at) != len(self.probability):
            raise ValueError(f"{len(self.at)} raw scores and {len(self.probability)} probabilities")
        if any(not b > a for a, b in zip(self.at, self.at[1:], strict=False)):
            raise ValueError("raw scores must rise")
        steps = zip(self.probability, self.probability[1:], strict=False)
        if any(not 0 <= one <= 1 for one in self.probability) or any(b < a for a, b in steps):
            raise ValueError("probabilities lie in 0..1 and never fall")
        return self

    def apply(self, raw: np.ndarray) -> np.ndarray:
        return np.interp(raw, self.at, self.probability)


Calibration = Annotated[NoCalibration | PlattCalibration | IsotonicCalibration, Field(discriminator="kind")]


def logit(probability: np.ndarray) -> np.ndarray:
    """float64 [n], finite at 0 and 1."""
    inside = np.clip(np.asarray(probability, dtype=np.float64), EPSILON, 1 - EPSILON)
    return np.log(inside / (1 - inside))


def _sigmoid(margin: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-margin))
