"""The rows of a run as classifiers see them: features fitted on each fold's own rows, weights, and scores of rows never fitted on. Chooses nothing."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from data.tabular.features import FeatureConfig, FeatureTransformer
from data.tabular.table import is_privileged, target_of
from data.tabular.table_spec import TableSpec
from finetune.tabular.config import Metric, TrainConfig
from finetune.tabular.models import Part
from finetune.tabular.splits import Split


@dataclass(frozen=True)
class Rows:
    """A checked table, divided."""

    frame: pd.DataFrame
    spec: TableSpec
    config: TrainConfig
    split: Split

    @cached_property
    def labels(self) -> np.ndarray:
        """int8 [n]; 0 where there is no label, which no part holds."""
        labels = np.zeros(len(self.frame), dtype=np.int8)
        known = np.flatnonzero(self.frame[self.spec.target].notna().to_numpy())
        labels[known] = target_of(self.frame.iloc[known], self.spec)
        return labels

    @cached_property
    def scored(self) -> np.ndarray:
        """Places of the rows that some fold scores, in the order of the folds."""
        return np.concatenate([scored for _, scored in self.split.folds])

    def part(self, features: FeatureTransformer, where: np.ndarray, *, weighted: bool) -> Part:
        """Rows as features; without `weighted` each weighs 1, as when they are scored."""
        labels = self.labels[where]
        weights = self._weights(where) if weighted else np.ones(len(where))
        matrix = features.transform(self.frame.iloc[where])
        return Part(matrix, labels, weights, features.feature_names, features.feature_types)

    def _weights(self, where: np.ndarray) -> np.ndarray:
        """float64 [n], of mean 1. Reweighing: Kamiran and Calders (2012), P(group) P(label) / P(group, label)."""
        labels = self.labels[where].astype(int)
        weights = np.ones(len(where))
        if self.config.reweigh:
            group = is_privileged(self.frame.iloc[where], self.spec, self.config.reweigh).astype(int)
            together = np.bincount(group * 2 + labels, minlength=4).reshape(2, 2)
            expected = np.outer(together.sum(axis=1), together.sum(axis=0)) / len(where)
            weights *= (expected / np.maximum(together, 1))[group, labels]
        if self.config.balance == "balanced":
            mass = np.bincount(labels, weights, 2)
            weights *= (mass.sum() / 2 / mass)[labels]
        return weights / weights.mean()


@dataclass(frozen=True)
class FoldParts:
    """One fold in features that were fitted on its own rows alone."""

    fitted: Part
    scored: Part


def fold_parts(rows: Rows, config: FeatureConfig) -> list[FoldParts]:
    found = []
    for fitted, scored in rows.split.folds:
        features = FeatureTransformer.fit(rows.frame.iloc[fitted], rows.spec, config)
        found.append(FoldParts(rows.part(features, fitted, weighted=True), rows.part(features, scored, weighted=False)))
    return found


LESS_IS_BETTER = frozenset({"log_loss", "brier"})


def metric_value(metric: Metric, labels: np.ndarray, scores: np.ndarray) -> float:
    """By scikit-learn."""
    match metric:
        case "pr_auc":
            return float(average_precision_score(labels, scores))
        case "roc_auc":
            return float(roc_auc_score(labels, scores))
        case "log_loss":
            return float(log_loss(labels, np.clip(scores, 1e-12, 1 - 1e-12)))
    return float(brier_score_loss(labels, scores))


def goodness(metric: Metric, value: float) -> float:
    """More is better."""
    return -value if metric in LESS_IS_BETTER else value
