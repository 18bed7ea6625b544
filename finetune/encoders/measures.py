"""Held-out figures of encoder heads with 95 % intervals. Arrays only; knows no model and no rows."""

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finetune.intervals import ratio_interval
from finetune.kinds import Measured

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
Z95 = 1.959964


def auroc(positive: ArrayLike, negative: ArrayLike) -> Measured:
    """P(a positive scores above a negative), ties half; interval after DeLong et al. 1988."""
    x, y = np.asarray(positive, float), np.asarray(negative, float)
    if len(x) < 2 or len(y) < 2:
        return Measured(float("nan"), float("nan"), float("nan"), 0)
    of_x, of_y = _placements(x, y), 1 - _placements(y, x)
    value = float(of_x.mean())
    half = Z95 * float(np.sqrt(of_x.var(ddof=1) / len(x) + of_y.var(ddof=1) / len(y)))
    return Measured(value, max(0.0, value - half), min(1.0, value + half), len(x) + len(y))


def balanced_accuracy(is_right: ArrayLike, labels: Sequence[int], seed: int = 0) -> Measured:
    """The mean over labels of the share given right; rows resampled."""
    right, label = np.asarray(is_right, float), np.asarray(labels)
    kinds = np.unique(label)
    if not len(right):
        return Measured(float("nan"), float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)

    def resampled(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return rows[rng.integers(0, len(rows), (2000, len(rows)))].mean(1)

    parts = [right[label == kind] for kind in kinds]
    low, high = np.percentile(np.mean([resampled(part) for part in parts], 0), [2.5, 97.5])
    return Measured(float(np.mean([part.mean() for part in parts])), float(low), float(high), len(right))


def mean(values: Sequence[float]) -> Measured:
    """The mean, rows resampled."""
    return ratio_interval(values, [1] * len(values))


def answer_f1(answer: str, golds: Sequence[str]) -> float:
    """The best token F1 against any of the gold answers, as SQuAD's own script counts it; no golds: right if nothing is said."""
    return max((_f1(answer, gold) for gold in golds), default=float(not answer))


def answer_exact(answer: str, golds: Sequence[str]) -> float:
    """Whether the answer is one of the golds up to case, articles and punctuation."""
    return float(any(plain_answer(answer) == plain_answer(gold) for gold in golds))


def plain_answer(text: str) -> str:
    """Lower case, without punctuation, articles and extra blanks."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def best_threshold(scores: ArrayLike, if_given: ArrayLike, if_withheld: ArrayLike) -> float:
    """The score from which giving the answer pays best, in the sum of what rows are worth given and withheld."""
    order = np.argsort(-np.asarray(scores, float), kind="stable")
    score = np.asarray(scores, float)[order]
    gain = np.cumsum((np.asarray(if_given, float) - np.asarray(if_withheld, float))[order])
    is_cut = np.append(score[:-1] > score[1:], True)  # equal scores go together
    best = int(np.where(is_cut, gain, -np.inf).argmax()) if len(score) else 0
    if not len(score) or gain[best] <= 0:
        return float(score[0]) + 1.0 if len(score) else 0.0
    below = score[best + 1] if best + 1 < len(score) else score[best] - 1.0
    return float((score[best] + below) / 2)


def _placements(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each x, the share of y below it, ties half."""
    ordered = np.sort(y)
    return (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")) / (2 * len(y))


def _f1(answer: str, gold: str) -> float:
    said, wanted = plain_answer(answer).split(), plain_answer(gold).split()
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted)) if common else 0.0
