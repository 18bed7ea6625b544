"""Pictures of a trained model as PNG bytes, by matplotlib. Slow to import; trains and stores nothing."""

import io
from collections.abc import Callable
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from finetune.tabular.train import Outcome, Trained

N_BINS = 10


def pictures(trained: Trained) -> dict[str, bytes]:
    """File name to PNG, of the held-out rows; the learning curve is of the folds."""
    found = {
        "roc.png": _drawn(lambda axes: _roc(axes, trained.outcome)),
        "precision_recall.png": _drawn(lambda axes: _precision_recall(axes, trained.outcome)),
        "calibration.png": _drawn(lambda axes: _calibration(axes, trained.outcome)),
        "scores.png": _drawn(lambda axes: _scores(axes, trained.outcome)),
        "cost.png": _drawn(lambda axes: _cost(axes, trained.outcome)),
    }
    if trained.candidate.curve:
        found["learning.png"] = _drawn(lambda axes: _learning(axes, trained))
    return found


def curves(outcome: Outcome) -> dict[str, list[float]]:
    """The numbers behind the pictures, at most 200 points of each curve."""
    wrong, found, _ = roc_curve(outcome.labels, outcome.scores)
    precision, recall, _ = precision_recall_curve(outcome.labels, outcome.scores)
    told = {
        "false_positive_rate": wrong,
        "true_positive_rate": found,
        "precision": precision,
        "recall": recall,
    }
    predicted, seen, sizes = reliability(outcome)
    told |= {"predicted": predicted, "seen": seen, "bin_rows": sizes}
    return {name: _thinned(values) for name, values in told.items()}


def reliability(outcome: Outcome) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean score, share of positives and rows, float64 [bins], of bins with equally many rows."""
    order = np.argsort(outcome.scores, kind="stable")
    bins = [part for part in np.array_split(order, N_BINS) if len(part)]
    predicted = np.array([outcome.scores[part].mean() for part in bins])
    seen = np.array([outcome.labels[part].mean() for part in bins])
    return predicted, seen, np.array([float(len(part)) for part in bins])


def _thinned(values: np.ndarray) -> list[float]:
    at = np.unique(np.linspace(0, len(values) - 1, 200).astype(int))
    return [round(float(values[place]), 6) for place in at]


def _drawn(draw: Callable[[Any], None]) -> bytes:
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    draw(axes)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _roc(axes: Any, outcome: Outcome) -> None:
    wrong, found, _ = roc_curve(outcome.labels, outcome.scores)
    decided = outcome.scores >= outcome.threshold
    positive = outcome.labels == 1
    axes.plot(wrong, found, color="#2b5f8a")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.plot([decided[~positive].mean()], [decided[positive].mean()], "o", color="#b3423a", label="the threshold")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC, held-out rows")
    axes.legend(loc="lower right")


def _precision_recall(axes: Any, outcome: Outcome) -> None:
    precision, recall, _ = precision_recall_curve(outcome.labels, outcome.scores)
    axes.plot(recall, precision, color="#2b5f8a")
    axes.axhline(outcome.labels.mean(), color="grey", linewidth=0.8, label="share of positives")
    axes.set(xlabel="recall", ylabel="precision", title="Precision and recall, held-out rows", ylim=(0, 1.02))
    axes.legend(loc="upper right")


def _calibration(axes: Any, outcome: Outcome) -> None:
    predicted, seen, sizes = reliability(outcome)
    spread = 1.96 * np.sqrt(np.maximum(seen * (1 - seen), 1e-9) / sizes)
    top = max(float((seen + spread).max()), float(predicted.max())) * 1.05
    axes.errorbar(predicted, seen, yerr=spread, fmt="o-", color="#2b5f8a", capsize=2)
    axes.plot([0, top], [0, top], color="grey", linewidth=0.8)
    axes.set(xlabel="mean score", ylabel="share of positives", title="Calibration in tenths of the held-out rows")


def _scores(axes: Any, outcome: Outcome) -> None:
    bins = np.linspace(0, max(float(outcome.scores.max()), 1e-3), 40)
    for label, name, colour in ((0, "negative", "#2b5f8a"), (1, "positive", "#b3423a")):
        axes.hist(outcome.scores[outcome.labels == label], bins, density=True, alpha=0.55, color=colour, label=name)
    axes.axvline(outcome.threshold, color="black", linewidth=0.9, label="threshold")
    axes.set(xlabel="score", ylabel="density", title="Scores of the held-out rows")
    axes.legend()


def _cost(axes: Any, outcome: Outcome) -> None:
    order = np.argsort(-outcome.scores, kind="stable")
    hits = np.cumsum(outcome.labels[order])
    decided = np.arange(1, len(order) + 1)
    costs = outcome.costs
    total = costs.false_positive * (decided - hits) + costs.false_negative * (hits[-1] - hits)
    axes.plot(outcome.scores[order], total / len(order), color="#2b5f8a")
    axes.axvline(outcome.threshold, color="#b3423a", linewidth=0.9, label="threshold, from the folds")
    told = f"Cost per row: {costs.false_positive:g} a false alarm, {costs.false_negative:g} a miss"
    axes.set(xlabel="threshold", ylabel="cost per row", title=told)
    axes.legend()


def _learning(axes: Any, trained: Trained) -> None:
    fitted, scored = np.array(trained.candidate.curve).T
    rounds = np.arange(1, len(fitted) + 1)
    axes.plot(rounds, fitted, color="grey", label="fitted rows")
    axes.plot(rounds, scored, color="#2b5f8a", label="rows not seen")
    axes.axvline(trained.candidate.n_rounds, color="#b3423a", linewidth=0.9, label="rounds kept")
    axes.set(xlabel="round", ylabel="log loss", title="Learning, mean of the folds")
    axes.legend()
