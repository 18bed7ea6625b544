"""Whether the estimate's assumption holds, where some labels exist: has P(label | row) changed, and does that matter? Also how far rows moved.

Three tests, Holm-adjusted. *By score*: the mean label in each tenth of the scores, reference against window; this is what the
estimate rests on. *By row*: labels and period are independent given the row. The residual of the label times the residual of
the period has mean zero then, whatever has happened to the rows themselves: the generalised covariance measure (Shah and Peters, Annals
of Statistics 2020); *by row, opposed* weights it by where the label seems to have moved up or down on the other half of the rows
(Scheidegger, Hörrmann and Bühlmann, JMLR 2022), for shifts that cancel on average.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import chi2, norm
from xgboost import XGBClassifier, XGBRegressor

from data.errors import InvalidInput
from data.tabular.model import Measured
from evals.statistics.multiplicity import holm
from evals.tabular.estimated import Calibration
from evals.tabular.metrics import Ranking, Scored
from evals.tabular.resampling import percentile_interval, weights_of

ALPHA = 0.01
N_BINS = 10
MAX_ROWS = 10_000
"""Of each side for the tests by row; more find ever smaller shifts and take longer."""
TREES = {
    "n_estimators": 40,
    "max_depth": 4,
    "learning_rate": 0.2,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "max_bin": 64,
    "tree_method": "hist",
    "n_jobs": 1,
}

ShiftVerdict = Literal[
    "holds", "not refuted", "moved, but does not matter", "moved, unclear whether it matters", "breaks"
]


@dataclass(frozen=True)
class ShiftTest:
    name: str
    p_value: float
    adjusted: float
    """Holm's, over the three tests."""


@dataclass(frozen=True)
class ConceptShift:
    """`gap` is the estimated less the realised ROC-AUC on the labelled rows; `moved_by` the change of P(positive) at equal rows."""

    tests: tuple[ShiftTest, ...]
    moved_by: Measured
    gap: Measured
    tolerance: float
    n_labelled: int

    @property
    def is_moved(self) -> bool:
        return any(test.adjusted < ALPHA for test in self.tests)

    @property
    def verdict(self) -> ShiftVerdict:
        """Breaks where the estimate's gap is proved to be beyond the tolerance; holds where it is proved to be within, and no shift is."""
        if self.gap.low > self.tolerance or self.gap.high < -self.tolerance:
            return "breaks"
        is_within = -self.tolerance <= self.gap.low and self.gap.high <= self.tolerance
        if not self.is_moved:
            return "holds" if is_within else "not refuted"
        return "moved, but does not matter" if is_within else "moved, unclear whether it matters"


@dataclass(frozen=True)
class Period:
    """Rows of a period: their labels and scores, and what a model saw of them, float32 [n, features]."""

    scored: Scored
    matrix: np.ndarray

    def sample(self, n: int, seed: int) -> "Period":
        if len(self.matrix) <= n:
            return self
        rows = np.zeros(len(self.matrix), bool)
        rows[np.random.default_rng(seed).choice(len(rows), n, replace=False)] = True
        return Period(self.scored.where(rows), self.matrix[rows])


def concept_shift(reference: Period, window: Period, *, tolerance: float = 0.02, seed: int = 0) -> ConceptShift:
    """Test the window's labelled rows against the reference. Raises: InvalidInput with fewer than 50 labelled rows in either."""
    for name, period in (("reference", reference), ("window", window)):
        if len(period.matrix) < 50:
            raise InvalidInput(
                f"The {name} has {len(period.matrix)} labelled rows; a test of concept shift needs 50.",
                field=name,
                next_step="Wait for labels, or take a longer period.",
            )
    calibration = Calibration(reference.scored.scores, reference.scored.labels)
    first, second, moved = _by_row(reference.sample(MAX_ROWS, seed), window.sample(MAX_ROWS, seed + 1), seed)
    p_values = [by_score(reference.scored, window.scored), first, second]
    names = ("by score", "by row", "by row, opposed")
    tests = tuple(ShiftTest(n, p, a) for n, p, a in zip(names, p_values, holm(p_values), strict=True))
    return ConceptShift(tests, moved, _gap(calibration, window.scored, seed), tolerance, len(window.matrix))


def by_score(reference: Scored, window: Scored) -> float:
    """p of equal P(label | score): what is left of labels after the reference's calibration, by bins of score; chi-squared."""
    calibration = Calibration(reference.scores, reference.labels)
    edges = np.unique(np.quantile(np.concatenate([reference.scores, window.scores]), np.arange(1, N_BINS) / N_BINS))
    sides = []
    for side in (reference, window):
        at = np.searchsorted(edges, side.scores, side="right")
        left = side.labels - calibration(side.scores)
        n = np.bincount(at, minlength=len(edges) + 1)
        mean = np.bincount(at, left, len(edges) + 1) / np.maximum(n, 1)
        square = np.bincount(at, (left - mean[at]) ** 2, len(edges) + 1)
        sides.append((n, mean, (square + 0.25) / np.maximum(n, 1) ** 2))  # a quarter of a row: no bin is without spread
    (n_then, mean_then, spread_then), (n_now, mean_now, spread_now) = sides
    both = (n_then >= 10) & (n_now >= 10)
    statistic = ((mean_now - mean_then) ** 2 / (spread_now + spread_then))[both].sum()
    return float(chi2.sf(statistic, int(both.sum()))) if both.any() else 1.0


def _by_row(reference: Period, window: Period, seed: int) -> tuple[float, float, Measured]:
    """p of the mean and of the opposed covariance of residuals, and by how much P(positive) moved at equal rows."""
    matrix = np.concatenate([reference.matrix, window.matrix])
    labels = np.concatenate([reference.scored.labels, window.scored.labels]).astype(np.float64)
    is_new = np.repeat([0.0, 1.0], [len(reference.matrix), len(window.matrix)])
    half = np.random.default_rng(seed).random(len(labels)) < 0.5
    of_label = labels - _crossed(matrix, labels, half, seed)
    of_period = is_new - _crossed(matrix, is_new, half, seed)
    product = of_label * of_period
    direction = np.empty(len(labels))
    for fit in (
        half,
        ~half,
    ):  # where the label seems to have moved, learned on the other half (Nie and Wager's R-learner)
        learned = XGBRegressor(**TREES, random_state=seed)
        weight = np.maximum(of_period[fit] ** 2, 1e-6)
        learned.fit(matrix[fit], product[fit] / weight, sample_weight=weight)
        direction[~fit] = learned.predict(matrix[~fit])
    spread = float((of_period**2).mean())
    error = float(product.std() / np.sqrt(len(product))) / spread
    mean = float(product.mean()) / spread
    moved = Measured(mean, mean - 1.96 * error, mean + 1.96 * error)
    return _p_of_zero_mean(product), _p_of_zero_mean(product * direction, sided=1), moved


def _crossed(matrix: np.ndarray, target: np.ndarray, half: np.ndarray, seed: int) -> np.ndarray:
    """Each half's probabilities, learned on the other."""
    found = np.empty(len(target))
    for fit in (half, ~half):
        if target[fit].min() == target[fit].max():
            found[~fit] = target[fit].mean()
            continue
        learned = XGBClassifier(**TREES, random_state=seed).fit(matrix[fit], target[fit])
        found[~fit] = learned.predict_proba(matrix[~fit])[:, 1]
    return found


def _p_of_zero_mean(values: np.ndarray, sided: int = 2) -> float:
    spread = float(values.std())
    z = float(values.mean()) / spread * np.sqrt(len(values)) if spread else 0.0
    return float(2 * norm.sf(abs(z)) if sided == 2 else norm.sf(z))


def _gap(calibration: Callable[[np.ndarray], np.ndarray], window: Scored, seed: int) -> Measured:
    """Estimated less realised ROC-AUC of the same rows, over bootstrap samples of them; 99 % as the tests."""
    expected, ranking = calibration(window.scores), Ranking(window.scores, window.threshold)

    def gap(weights: np.ndarray) -> np.ndarray:
        estimated = ranking.values(weights * expected, weights * (1 - expected))["roc_auc"]
        return estimated - ranking.values(weights * window.labels, weights * (1 - window.labels))["roc_auc"]

    drawn = [gap(one) for one in weights_of(len(window.labels), window.clusters, n_resamples=400, seed=seed)]
    return percentile_interval(float(gap(np.ones((1, len(window.labels))))[0]), np.concatenate(drawn), 1 - ALPHA)


@dataclass(frozen=True)
class CovariateShift:
    """`separability` is the ROC-AUC of telling the periods apart by their rows: 0.5 where nothing moved. No labels are needed."""

    separability: Measured
    drivers: tuple[tuple[int, float], ...]
    """The features that tell the periods apart best, by place, with their share of the gain."""


def covariate_shift(reference: np.ndarray, window: np.ndarray, *, seed: int = 0) -> CovariateShift:
    """Train on half of the rows of both periods to tell them apart, and try it on the other half, both ways."""
    matrix, is_new, half = _pooled(reference, window, seed)
    scores = np.clip(_crossed(matrix, is_new, half, seed), 0, 1)
    ranking = Ranking(scores)

    def area(weights: np.ndarray) -> np.ndarray:
        return ranking.values(weights * is_new, weights * (1 - is_new))["roc_auc"]

    drawn = np.concatenate([area(one) for one in weights_of(len(scores), n_resamples=200, seed=seed)])
    learned = XGBClassifier(**TREES, random_state=seed).fit(matrix, is_new)
    gains = learned.feature_importances_
    best = [(int(place), float(gains[place])) for place in np.argsort(-gains)[:5] if gains[place] > 0]
    return CovariateShift(percentile_interval(float(area(np.ones((1, len(scores))))[0]), drawn), tuple(best))


def density_ratio(reference: np.ndarray, window: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """float64 [n_reference], of mean 1, at most 20: how much likelier each reference row is among the new ones, by that classifier."""
    matrix, is_new, half = _pooled(reference, window, seed, n=max(len(reference), len(window)))
    odds = np.clip(_crossed(matrix, is_new, half, seed), 1e-3, 1 - 1e-3)[: len(reference)]
    weights = np.minimum(odds / (1 - odds) * len(reference) / len(window), 20.0)
    return weights / weights.mean()


def _pooled(
    reference: np.ndarray, window: np.ndarray, seed: int, n: int = MAX_ROWS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    parts = [m if len(m) <= n else m[rng.choice(len(m), n, replace=False)] for m in (reference, window)]
    is_new = np.repeat([0.0, 1.0], [len(part) for part in parts])
    return np.concatenate(parts), is_new, rng.random(len(is_new)) < 0.5
