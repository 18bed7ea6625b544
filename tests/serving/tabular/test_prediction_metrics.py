import numpy as np
from prometheus_client import CollectorRegistry, generate_latest

from serving.tabular.prediction_metrics import WINDOW, PredictionMetrics
from serving.tabular.predictor import Scored
from tests.serving.tabular.stores import put_model, request_rows


def value(page: str, start: str) -> float:
    (line,) = [line for line in page.splitlines() if line.startswith(start)]
    return float(line.rsplit(" ", 1)[1])


def test_rows_latency_features_and_scores_are_shown_by_model_and_version(tmp_path):
    predictor = put_model(tmp_path).predictor("loans")
    metrics, registry = PredictionMetrics(), CollectorRegistry()
    registry.register(metrics)
    scored = predictor.score_rows(request_rows(10))
    metrics.scored(predictor, scored, 0.0004)
    metrics.refused("loans", "1", 3)
    metrics.failed("loans", "1", 2)
    page = generate_latest(registry).decode()
    of_version = 'model_name="loans",model_version="1"'
    assert value(page, f'model_predictions_total{{{of_version},outcome="positive"}}') == scored.decisions.sum()
    assert value(page, f'model_predictions_total{{{of_version},outcome="refused"}}') == 3
    assert value(page, f'model_predictions_total{{{of_version},outcome="failed"}}') == 2
    assert value(page, f'model_prediction_latency_seconds_bucket{{le="0.0005",{of_version}}}') == 1
    at = predictor.model.features.feature_names.index("amount")
    shown = value(page, f'model_feature_value{{feature="amount",{of_version}}}')
    assert np.isclose(shown, scored.features[:, at].mean())
    assert np.isclose(value(page, f"model_score_value{{{of_version}}}"), scored.scores.mean())


def test_gauges_are_about_the_newest_rows(tmp_path):
    predictor = put_model(tmp_path).predictor("loans")
    n = predictor.model.features.n_features
    metrics = PredictionMetrics()
    for height in (0.0, 1.0):
        features = np.full((WINDOW, n), height, np.float32)
        metrics.scored(predictor, Scored(features, np.full(WINDOW, height), np.zeros(WINDOW, bool)), 0.001)
    registry = CollectorRegistry()
    registry.register(metrics)
    assert value(generate_latest(registry).decode(), "model_score_value") == 1.0
