"""How well a score tells two classes apart: AUROC, balanced accuracy, the threshold that parts them best. Arrays only."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.intervals import RESAMPLES, percentiles, wilson

Z95 = 1.959964


def auroc(positive: Sequence[float], negative: Sequence[float]) -> dict[str, Any] | None:
    """P(a positive scores above a negative), ties half, with the interval of DeLong et al. 1988; nothing for under two of a class."""
    x, y = np.asarray(positive, float), np.asarray(negative, float)
    if len(x) < 2 or len(y) < 2:
        return None
    of_x, of_y = _placements(x, y), 1 - _placements(y, x)
    value = float(of_x.mean())
    half = Z95 * float(np.sqrt(of_x.var(ddof=1) / len(x) + of_y.var(ddof=1) / len(y)))
    interval = [round(max(0.0, value - half), 4), round(min(1.0, value + half), 4)]
    return {"value": round(value, 4), "interval_95": interval}


def balanced_accuracy(scores: Sequence[float], labels: Sequence[bool], threshold: float) -> dict[str, Any] | None:
    """The mean of the shares of positives at or above the threshold and of negatives below; rows resampled within classes."""
    value, label = np.asarray(scores, float), np.asarray(labels, bool)
    right = (value >= threshold) == label
    parts = [right[label], right[~label]]
    if not all(len(part) for part in parts):
        return None
    rng = np.random.default_rng(0)
    drawn = np.mean([rng.binomial(len(p), p.mean(), RESAMPLES) / len(p) for p in parts], axis=0)
    return {"value": round(float(np.mean([p.mean() for p in parts])), 4), "interval_95": percentiles(drawn)}


def share(hits: Sequence[bool]) -> dict[str, Any] | None:
    """A share with Wilson's interval; nothing for no rows."""
    n, n_hits = len(hits), sum(map(bool, hits))
    return {"value": round(n_hits / n, 4), "interval_95": wilson(n_hits, n), "n": n} if n else None


def best_threshold(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The score from which on saying yes gives the highest balanced accuracy, halfway to the next score below."""
    order = np.argsort(-np.asarray(scores, float), kind="stable")
    value, label = np.asarray(scores, float)[order], np.asarray(labels, bool)[order]
    if label.all() or not label.any():
        return 0.5
    gained = np.cumsum(label / label.sum() - ~label / (~label).sum())
    is_cut = np.append(value[:-1] > value[1:], True)  # equal scores go together
    best = int(np.where(is_cut, gained, -np.inf).argmax())
    return float((value[best] + value[best + 1]) / 2) if best + 1 < len(value) else float(value[best])


def _placements(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each x, the share of y below it, ties half."""
    ordered = np.sort(y)
    return (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")) / (2 * len(y))
