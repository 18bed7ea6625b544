"""Figures of a binary classifier with bootstrap intervals. One formula serves labels and expected labels alike; knows no model.

scored = Scored(labels, scores, threshold=0.4, costs=Costs(false_negative=20))
measure(scored)["roc_auc"]                        # Measured(value, low, high)

Each row has a mass of being positive and one of being negative. With labels one of the two is 0; `evals.tabular.estimated` puts
in probabilities instead, which gives the figures that are expected before labels arrive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from data.errors import InvalidInput
from data.tabular.model import Costs, Measured
from evals.tabular.resampling import N_RESAMPLES, basic_interval, percentile_interval, weights_of

METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "brier", "calibration_error", "cost")
LESS_IS_BETTER = frozenset({"brier", "calibration_error", "cost"})
N_BINS = 10

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Scored:
    """Rows with their labels (0 or 1) and scores (probabilities). Positive from `threshold` on. Raises: InvalidInput."""

    labels: np.ndarray
    scores: np.ndarray
    threshold: float = 0.5
    costs: Costs = field(default_factory=Costs)
    clusters: np.ndarray | None = None
    """Which rows share their luck, such as claims of one policy; they are resampled together."""

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.scores) or not len(self.scores):
            raise InvalidInput(f"{len(self.labels)} labels and {len(self.scores)} scores; give one of each per row.")
        if strange := sorted(set(np.unique(self.labels).tolist()) - {0, 1}):
            raise InvalidInput(f"Labels are 0 or 1, not {strange[0]!r}.", field="labels")
        _refuse_unscored(self.scores)

    @property
    def decisions(self) -> np.ndarray:
        """bool [n]: who is decided to be positive."""
        return self.scores >= self.threshold

    def where(self, rows: np.ndarray) -> "Scored":
        """Of a mask, bool [n]."""
        clusters = None if self.clusters is None else self.clusters[rows]
        return replace(self, labels=self.labels[rows], scores=self.scores[rows], clusters=clusters)


class Ranking:
    """Scores sorted once, so that the figures of many weightings of the rows cost a few passes each."""

    def __init__(self, scores: np.ndarray, threshold: float = 0.5, costs: Costs = Costs()) -> None:
        _refuse_unscored(scores)
        self.order = np.argsort(-scores, kind="stable")
        self.threshold, self.costs = threshold, costs
        self._scores = np.asarray(scores, np.float64)[self.order]
        self._ends = np.append(np.flatnonzero(np.diff(self._scores)), len(scores) - 1)
        self._n_decided = int(np.searchsorted(-self._scores, -threshold, side="right"))
        edges = np.unique(np.quantile(self._scores, np.arange(1, N_BINS) / N_BINS))
        bins = np.searchsorted(edges, self._scores, side="right")
        self._starts = np.flatnonzero(np.diff(bins, prepend=-1))

    def values(self, positive: np.ndarray, negative: np.ndarray) -> Values:
        """Each metric as [k], of masses [k, n] in the order of the rows given. Undefined ones are NaN."""
        positive = positive[:, self.order].astype(np.float64, copy=False)
        negative = negative[:, self.order].astype(np.float64, copy=False)
        tps, fps = positive.cumsum(axis=1), negative.cumsum(axis=1)
        n_pos, n_neg = tps[:, -1], fps[:, -1]
        at = self._n_decided - 1
        nothing = np.zeros(len(positive))
        tp, fp = (tps[:, at], fps[:, at]) if at >= 0 else (nothing, nothing)
        total = n_pos + n_neg
        squares = positive @ (1 - self._scores) ** 2 + negative @ self._scores**2
        with np.errstate(divide="ignore", invalid="ignore"):
            ranked = self._areas(tps[:, self._ends], fps[:, self._ends])
            return {
                "accuracy": (tp + n_neg - fp) / total,
                "precision": tp / (tp + fp),
                "recall": tp / n_pos,
                "f1": 2 * tp / (tp + fp + n_pos),
                **ranked,
                "brier": squares / total,
                "calibration_error": self._miscalibration(positive, positive + negative) / total,
                "cost": (self.costs.false_positive * fp + self.costs.false_negative * (n_pos - tp)) / total,
            }

    def _areas(self, tps: np.ndarray, fps: np.ndarray) -> Values:
        """Under the ROC curve by trapezia (ties count half), and average precision (a sum of steps, as scikit-learn's)."""
        n_pos, n_neg = tps[:, -1], fps[:, -1]
        new_pos, new_neg = np.diff(tps, axis=1, prepend=0), np.diff(fps, axis=1, prepend=0)
        roc = (new_neg * (tps - new_pos / 2)).sum(axis=1) / (n_pos * n_neg)
        precision = np.divide(tps, tps + fps, out=np.zeros_like(tps), where=new_pos > 0)
        return {"roc_auc": roc, "pr_auc": (new_pos * precision).sum(axis=1) / n_pos}

    def calibration_error(self, labels: np.ndarray) -> np.ndarray:
        """[k] of labels [k, n]."""
        n_rows = len(self._scores)
        return self._miscalibration(labels[:, self.order], np.ones((1, n_rows))) / n_rows

    def _miscalibration(self, positive: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """Over bins of equal numbers of rows: how far the sum of labels is from the sum of scores."""
        gap = positive - mass * self._scores
        return np.abs(np.add.reduceat(gap, self._starts, axis=1)).sum(axis=1)


def values_of(scored: Scored) -> dict[str, float]:
    """Every metric of the rows as they are."""
    labels = scored.labels[None].astype(np.float64)
    found = Ranking(scored.scores, scored.threshold, scored.costs).values(labels, 1 - labels)
    return {name: float(value[0]) for name, value in found.items()}


def drawn_values(scored: Scored, *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Values:
    """Every metric over bootstrap samples of the rows, [n_resamples]."""
    ranking = Ranking(scored.scores, scored.threshold, scored.costs)
    drawn = [
        ranking.values(weights * scored.labels, weights * (1 - scored.labels))
        for weights in weights_of(len(scored.labels), scored.clusters, n_resamples=n_resamples, seed=seed)
    ]
    return {name: np.concatenate([one[name] for one in drawn]) for name in METRICS}


def measure(
    scored: Scored, *, n_resamples: int = N_RESAMPLES, level: float = 0.95, seed: int = 0
) -> dict[str, Measured]:
    """Every metric with its interval.

    Noise inflates a calibration error. Its interval is therefore mirrored, and starts at 0 where labels drawn from the scores
    themselves would show as great an error.
    """
    values = values_of(scored)
    found = intervals(values, drawn_values(scored, n_resamples=n_resamples, seed=seed), level)
    if values["calibration_error"] <= calibrated_limit(scored, level=level, seed=seed):
        found["calibration_error"] = replace(found["calibration_error"], low=0.0)
    return found


def intervals(values: Mapping[str, float], drawn: Values, level: float = 0.95) -> dict[str, Measured]:
    shape = {"calibration_error": basic_interval}
    return {name: shape.get(name, percentile_interval)(value, drawn[name], level) for name, value in values.items()}


def calibrated_limit(scored: Scored, *, level: float = 0.95, n_draws: int = 200, seed: int = 0) -> float:
    """The calibration error that scores which are right show in a share `level` of draws, by their labels' luck alone."""
    rng, scores = np.random.default_rng(seed), scored.scores
    ranking = Ranking(scores)
    drawn = [
        ranking.calibration_error((rng.random(len(scores)) < scores)[None].astype(np.float64))[0]
        for _ in range(n_draws)
    ]
    return float(np.quantile(drawn, level))


def _refuse_unscored(scores: np.ndarray) -> None:
    outside = ~((scores >= 0) & (scores <= 1))
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InvalidInput(
            f"The score of row {row} is {float(scores[row])!r}; scores are probabilities from 0 to 1.",
            field="scores",
            next_step="Give calibrated probabilities, not margins.",
        )
