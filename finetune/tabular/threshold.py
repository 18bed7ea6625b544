"""From which probability on a row is decided positive: by cost, F1, precision, recall, share or as told. Numpy alone."""

import numpy as np

from data.errors import InvalidInput
from finetune.tabular.config import ThresholdConfig


def choose_threshold(scores: np.ndarray, labels: np.ndarray, config: ThresholdConfig) -> float:
    """Of calibrated scores float64 [n] and labels int [n] of rows that the model never saw. Raises: InvalidInput.

    A threshold lies halfway between two neighbouring scores, so that it does not hang on the last bit of one.
    """
    if config.by == "fixed":
        return config.value
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(labels[order]).astype(np.float64)
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # the last row of each run of equal scores
    n_decided = np.concatenate([[0], ends + 1]).astype(np.float64)
    true = np.concatenate([[0.0], hits[ends]])
    first = int(ranked[0] >= 1)  # a score of 1 is positive whatever the threshold
    at = first + _best(n_decided[first:], true[first:], hits[-1], config)
    edges = np.concatenate([[1.0], ranked[ends], [0.0]])
    above, below = edges[at], edges[at + 1]
    between = (above + below) / 2
    return float(between if between > below or at == len(ends) else above)


def _best(n_decided: np.ndarray, true: np.ndarray, n_positive: float, config: ThresholdConfig) -> int:
    """The place in `n_decided`."""
    precision = np.divide(true, n_decided, out=np.ones_like(true), where=n_decided > 0)
    recall = true / max(n_positive, 1)
    match config.by:
        case "cost":
            return int(
                np.argmin(config.false_positive * (n_decided - true) + config.false_negative * (n_positive - true))
            )
        case "f1":
            return int(np.argmax(2 * true / (n_decided + n_positive)))
        case "share":
            return int(np.argmin(np.abs(n_decided - config.share * n_decided[-1])))
        case "precision":
            kept = _kept(precision, n_decided > 0, "precision", config)
            return int(kept[np.argmax(recall[kept])])
        case _:
            kept = _kept(recall, n_decided > 0, "recall", config)
            return int(kept[np.argmax(precision[kept])])


def _kept(values: np.ndarray, is_allowed: np.ndarray, name: str, config: ThresholdConfig) -> np.ndarray:
    kept = np.flatnonzero((values >= config.at_least) & is_allowed)
    if not len(kept):
        raise InvalidInput(
            f"No threshold has a {name} of {config.at_least:g}; the highest is {values[is_allowed].max():.3f}.",
            field="threshold.at_least",
            next_step="Ask for less, or choose the threshold by cost.",
        )
    return kept
