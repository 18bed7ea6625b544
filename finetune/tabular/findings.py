"""What looks wrong with the rows before and after a model learns from them: leaks, too few positives, copies across the split. Stops nothing.

Each finding is told on the terminal, in MLflow and on the card; with a `stop` among them `assay tabular train` refuses, unless told to go on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from data.tabular.features import FeatureTransformer
from data.tabular.table_spec import TableSpec

LEAK_AUC = 0.98
"""One column alone ranks the rows almost perfectly: it was most likely filled in after the answer was known."""
SUSPICIOUS_AUC = 0.995
FEW_IN_TEST = 50
FEW_IN_DEVELOPMENT = 200
COPIES = 0.01
MOVED = 1.5
LOOKED_AT = 50_000
"""So many rows, evenly taken, are searched for leaks."""


@dataclass(frozen=True)
class Finding:
    """`severity`: stop for what makes every figure worthless, warning for what makes it doubtful, note for the rest."""

    severity: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.message}"


def before_training(
    features: FeatureTransformer,
    fitted: np.ndarray,
    fitted_labels: np.ndarray,
    held: np.ndarray,
    held_labels: np.ndarray,
    spec: TableSpec,
) -> list[Finding]:
    """Of features float32 and labels int8 of the development and the held-out rows."""
    return [
        *_leaks(features, fitted, fitted_labels),
        *_counts(fitted_labels, held_labels),
        *_copies(fitted, held),
        *_protected(features, spec),
    ]


def after_training(values: Mapping[str, float]) -> list[Finding]:
    """Of the held-out figures."""
    if values.get("roc_auc", 0.0) >= SUSPICIOUS_AUC:
        told = f"The held-out ROC-AUC is {values['roc_auc']:.4f}: too good. Look for a column that knows the answer."
        return [Finding("warning", "too_good", told)]
    return []


def of_left_out(left_out: Mapping[str, int], n_rows: int) -> list[Finding]:
    """Of the rows that the split could not use."""
    return [
        Finding("note", "left_out", f"{n} of {n_rows} rows ({n / n_rows:.1%}) are left out: {why}.")
        for why, n in left_out.items()
    ]


def single_auc(values: np.ndarray, labels: np.ndarray) -> float:
    """The ROC-AUC of one column of numbers alone, whichever way it points; Mann and Whitney's U by mid-ranks."""
    n_positive = int(labels.sum())
    n_negative = len(labels) - n_positive
    if not n_positive or not n_negative:
        return 0.5
    ranks = rankdata(values)
    area = (ranks[labels == 1].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)
    return float(max(area, 1 - area))


def _leaks(features: FeatureTransformer, matrix: np.ndarray, labels: np.ndarray) -> Iterator[Finding]:
    """Per column of the table: its features are ranked by their positives' share, learnt on one half of the rows, judged on the other."""
    step = max(1, len(labels) // LOOKED_AT)
    matrix, labels = matrix[::step], labels[::step]
    half = np.arange(len(labels)) % 2 == 0
    columns = np.array(features.feature_columns)
    for column in dict.fromkeys(features.feature_columns):
        own = matrix[:, columns == column]
        found = _column_auc(own, labels, half)
        if found >= LEAK_AUC:
            told = (
                f"{column} alone predicts the target with ROC-AUC {found:.3f}: it was most likely filled in after the answer "
                "was known. Name it in the spec's `dropped`, or set is_feature: false."
            )
            yield Finding("stop", "leak", told)


def _column_auc(own: np.ndarray, labels: np.ndarray, half: np.ndarray) -> float:
    if own.shape[1] == 1:
        return single_auc(own[:, 0], labels)
    words, code = np.unique(own, axis=0, return_inverse=True)
    if len(words) > len(own) // 20:  # numbers with a flag for missing, dates in parts
        return max(single_auc(own[:, at], labels) for at in range(own.shape[1]))
    code = code.ravel()
    seen = np.bincount(code[half], minlength=len(words))
    share = (np.bincount(code[half], labels[half], len(words)) + labels.mean()) / (seen + 1)
    return single_auc(share[code[~half]], labels[~half])


def _counts(fitted: np.ndarray, held: np.ndarray) -> Iterator[Finding]:
    for name, labels, fewest in (("training", fitted, FEW_IN_DEVELOPMENT), ("held-out", held, FEW_IN_TEST)):
        n = int(min(labels.sum(), len(labels) - labels.sum()))
        if n < fewest:
            which = "positives" if labels.mean() < 0.5 else "negatives"
            told = f"There are only {n} {which} among the {name} rows (fewer than {fewest}): expect wide intervals."
            yield Finding("warning", "few_positives", told)
    here, there = float(fitted.mean()), float(held.mean())
    if max(here, there) > MOVED * min(here, there):
        told = f"{here:.2%} of the training rows are positive and {there:.2%} of the held-out ones: calibration will be off."
        yield Finding("warning", "base_rate", told)


def _copies(fitted: np.ndarray, held: np.ndarray) -> Iterator[Finding]:
    known = {row.tobytes() for row in np.ascontiguousarray(fitted)}
    share = sum(row.tobytes() in known for row in np.ascontiguousarray(held)) / len(held)
    if share > COPIES:
        told = (
            f"{share:.1%} of the held-out rows have exactly the features of a training row. If they are the same cases, name "
            "a `group` in the spec and split by it."
        )
        yield Finding("warning", "copies", told)


def _protected(features: FeatureTransformer, spec: TableSpec) -> Iterator[Finding]:
    if seen := [name for name in spec.protected if name in features.feature_columns]:
        told = f"The model sees the protected attributes {', '.join(seen)}; set is_feature: false where it must not."
        yield Finding("note", "protected_feature", told)
