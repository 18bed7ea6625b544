"""Performance before labels arrive: the figures expected if scores mean what they meant. Knows scores, no features and no model.

estimate(reference, scores)["roc_auc"]          # Measured: what the labels of these rows will show, with an interval for it

Confidence-based estimation: a row scored p is a positive by p and a negative by 1 - p, so the confusion matrix at every threshold is
expected from the scores alone (Guillory et al., ICCV 2021; Białek et al., "Estimating model performance under covariate shift
without labels", arXiv:2401.08348). Scores are first calibrated on the labelled reference.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from data.errors import InvalidInput
from data.tabular.model import Measured
from evals.tabular.metrics import METRICS, Ranking, Scored, calibrated_limit, intervals, values_of

ESTIMATED = tuple(name for name in METRICS if name != "calibration_error")
"""What can be estimated; that scores are calibrated is assumed, so their calibration cannot be."""
N_DRAWS = 200

ASSUMPTIONS = (
    "P(label | score) is what it was in the reference: no concept shift. Not testable without labels; "
    "with some, `assay tabular performance` tests it.",
    "Where rows have moved (covariate shift), the scores are calibrated there too.",
    "The reference was not trained on, and its labels are complete: not only those that came early.",
    "Rows are independent, or of equally large groups: the intervals say nothing of a common shock.",
)


@dataclass(frozen=True)
class Estimate:
    """`metrics` by name; intervals are those of the figures that the labels will show, not only of their expectation."""

    metrics: dict[str, Measured]
    n_rows: int
    n_reference: int
    calibration: str
    """How scores were calibrated on the reference: beta or isotonic."""
    expected_positives: float
    assumptions: tuple[str, ...] = ASSUMPTIONS


class Calibration:
    """P(positive | score) on the reference: beta calibration, or isotonic regression where that leaves an error that luck does not make.

    Beta calibration (Kull, Silva Filho and Flach, AISTATS 2017) is a logistic regression on log s and log(1 - s); the
    identity is among its curves. Three numbers are little to fit, so that a reference of some hundred rows will do.
    """

    def __init__(
        self, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None, kind: str = ""
    ) -> None:
        self._beta = _logistic(_log_scores(scores), labels, weights)
        self._isotonic: Any = None
        self.kind = kind or "beta"
        if not kind and weights is None:
            fitted = Scored(labels, self(scores))
            self.kind = "isotonic" if values_of(fitted)["calibration_error"] > calibrated_limit(fitted) else "beta"
        if self.kind == "isotonic":
            self._isotonic = _isotonic(scores, labels, weights)

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """float64 [n]: probabilities of being positive."""
        if self._isotonic is not None:
            return np.asarray(self._isotonic.predict(scores), np.float64)
        return 1 / (1 + np.exp(-(_log_scores(scores) @ self._beta)))


def _log_scores(scores: np.ndarray) -> np.ndarray:
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.column_stack([np.log(inside), -np.log1p(-inside), np.ones(len(inside))])


def _logistic(inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Newton's method from the identity, towards which a prior worth one row pulls."""
    identity, found = np.array([1.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0])
    weights = np.ones(len(labels)) if weights is None else weights
    for _ in range(25):
        expected = 1 / (1 + np.exp(-np.clip(inputs @ found, -30, 30)))
        slope = inputs.T @ (weights * (labels - expected)) - (found - identity)
        curvature = (inputs * (weights * expected * (1 - expected))[:, None]).T @ inputs + np.eye(3)
        step = np.linalg.solve(curvature, slope)
        found = found + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-8:
            break
    return found


def _isotonic(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> Any:
    from sklearn.isotonic import IsotonicRegression

    edge = 0.5 / len(scores)  # no share is known to be 0 or 1
    fitted = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip")
    return fitted.fit(scores, labels, sample_weight=weights)


def estimate(
    reference: Scored,
    scores: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    n_draws: int = N_DRAWS,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Every metric but calibration, for rows without labels.

    `weights` of the reference rows say how much likelier such a row is among the new ones (`evals.tabular.shift.density_ratio`):
    then scores are calibrated where the new rows are. Raises: InvalidInput for a reference of one class alone.
    """
    _need_both_classes(reference)
    own = np.asarray(scores, np.float64)
    calibration = Calibration(reference.scores, reference.labels, weights)
    expected = calibration(own)
    ranking = Ranking(own, reference.threshold, reference.costs)
    values = {name: float(value[0]) for name, value in ranking.values(expected[None], 1 - expected[None]).items()}
    drawn = _drawn(reference, ranking, own, calibration.kind, weights, n_draws, seed)
    found = intervals({name: values[name] for name in ESTIMATED}, drawn, level)
    return Estimate(found, len(own), len(reference.labels), calibration.kind, float(expected.mean()))


def _drawn(
    reference: Scored,
    ranking: Ranking,
    scores: np.ndarray,
    kind: str,
    weights: np.ndarray | None,
    n_draws: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """What labels may show: a calibration from a resampled reference, then labels drawn from it, again and again."""
    rng, n_reference = np.random.default_rng(seed), len(reference.labels)
    found: list[dict[str, np.ndarray]] = []
    for _ in range(n_draws):
        rows = rng.integers(0, n_reference, n_reference)
        own_weights = None if weights is None else weights[rows]
        expected = Calibration(reference.scores[rows], reference.labels[rows], own_weights, kind)(scores)
        labels = (rng.random(len(scores)) < expected)[None].astype(np.float64)
        found.append(ranking.values(labels, 1 - labels))
    return {name: np.concatenate([one[name] for one in found]) for name in ESTIMATED}


def _need_both_classes(reference: Scored) -> None:
    if reference.labels.min() == reference.labels.max():
        raise InvalidInput(
            f"All {len(reference.labels)} reference rows are of one class.",
            field="reference",
            next_step="Take a longer reference period.",
        )
