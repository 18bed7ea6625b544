import numpy as np
import pytest

from data.tabular.features import FeatureConfig
from data.tabular.table import is_privileged
from finetune.tabular.folds import Rows, fold_parts, goodness, metric_value
from finetune.tabular.splits import split_rows
from tests.finetune.tabular.small_run import small_config, small_frame

pytestmark = pytest.mark.slow


def rows(**changes) -> Rows:
    loaded = small_config(**changes)
    frame = small_frame()
    return Rows(frame, loaded.spec, loaded.config, split_rows(frame, loaded.spec, loaded.config.split))


def test_reweighed_label_and_group_are_independent():
    found = rows(reweigh="sex")
    where = found.split.development
    weights = found._weights(where)
    group = is_privileged(found.frame.iloc[where], found.spec, "sex")
    labels = found.labels[where]
    rates = [np.average(labels[group == one], weights=weights[group == one]) for one in (True, False)]
    assert rates[0] == pytest.approx(rates[1], abs=1e-12)
    assert weights.mean() == pytest.approx(1)


def test_balanced_classes_weigh_the_same():
    found = rows(balance="balanced")
    where = found.split.development
    weights, labels = found._weights(where), found.labels[where]
    assert weights[labels == 1].sum() == pytest.approx(weights[labels == 0].sum())


def test_features_of_a_fold_know_only_the_rows_it_is_fitted_on():
    found = rows()
    parts = fold_parts(found, FeatureConfig(min_count=1))
    for part, (fitted, scored) in zip(parts, found.split.folds, strict=True):
        shops = {str(one) for one in found.frame["repair_shop"].iloc[fitted].unique()}
        named = {name.split("=")[1] for name in part.fitted.feature_names if name.startswith("repair_shop=")}
        assert named - {"(other)"} <= shops
        assert (len(part.fitted.labels), len(part.scored.labels)) == (len(fitted), len(scored))
        assert np.all(part.scored.weights == 1)


def test_metrics_point_upwards_where_more_is_better():
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.1, 0.9, 0.2, 0.8])
    assert metric_value("roc_auc", labels, scores) == metric_value("pr_auc", labels, scores) == 1
    assert metric_value("brier", labels, scores) == pytest.approx(0.025)
    assert goodness("brier", 0.1) > goodness("brier", 0.2)
    assert goodness("pr_auc", 0.2) > goodness("pr_auc", 0.1)
