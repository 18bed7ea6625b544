"""Fits a calibration on scores of rows that their models never saw. Applying one is `data.tabular.calibration`'s."""

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from data.tabular.calibration import Calibration, IsotonicCalibration, NoCalibration, PlattCalibration, logit
from finetune.tabular.config import CalibrationConfig

ENOUGH_FOR_ISOTONIC = 1000
"""Positives; with fewer its steps follow the noise (Niculescu-Mizil and Caruana 2005)."""


def fit_calibration(raw: np.ndarray, labels: np.ndarray, config: CalibrationConfig) -> Calibration:
    """Of raw scores float64 [n] and labels int [n]."""
    kind = config.kind
    if kind == "auto":
        enough = min(int(labels.sum()), int(len(labels) - labels.sum())) >= ENOUGH_FOR_ISOTONIC
        kind = "isotonic" if enough else "platt"
    if kind == "none":
        return NoCalibration()
    return _platt(raw, labels) if kind == "platt" else _isotonic(raw, labels)


def _platt(raw: np.ndarray, labels: np.ndarray) -> Calibration:
    found = LogisticRegression(C=1e6, max_iter=1000).fit(logit(raw)[:, None], labels)
    slope, intercept = float(found.coef_[0, 0]), float(found.intercept_[0])
    return PlattCalibration(slope=slope, intercept=intercept) if slope > 0 else NoCalibration()


def _isotonic(raw: np.ndarray, labels: np.ndarray) -> Calibration:
    """Straight lines between the centres of the blocks, and on to half the doubt at 0 and 1: order survives at the ends too."""
    steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(raw, labels)
    values, block, sizes = np.unique(steps.predict(raw), return_inverse=True, return_counts=True)
    centres = np.bincount(block, raw) / sizes
    sure = np.clip(values, 0.5 / sizes, 1 - 0.5 / sizes)  # no block is surer than half a row of doubt
    return IsotonicCalibration(
        **_rising([0.0, *centres.tolist(), 1.0], [sure[0] / 2, *sure.tolist(), 1 - (1 - sure[-1]) / 2])
    )


def _rising(at: list[float], probability: list[float]) -> dict[str, tuple[float, ...]]:
    kept_at, kept = [at[0]], [float(probability[0])]
    for place, value in zip(at[1:], probability[1:], strict=True):
        if place > kept_at[-1]:
            kept_at.append(place)
            kept.append(max(float(value), kept[-1]))
    return {"at": tuple(kept_at), "probability": tuple(kept)}
