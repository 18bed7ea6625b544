from datetime import UTC, datetime

import numpy as np
import pytest

from serving.tabular.log_skew import check_log
from serving.tabular.prediction_store import KeptPrediction, PredictionStore
from tests.databases import new_database
from tests.serving.tabular.stores import put_model, request_rows


@pytest.fixture
def models(tmp_path):
    return put_model(tmp_path / "models")


@pytest.fixture
def predictions(tmp_path):
    database = new_database(tmp_path / "db")
    yield PredictionStore(database)
    database.close()


def logged(models, rows, version="1", change=lambda features, scores: (features, scores)):
    scored = models.predictor("loans", version).score_rows(rows)
    features, scores = change(scored.features.copy(), scored.scores.copy())
    return [
        KeptPrediction(
            key=f"r:{at}",
            model="loans",
            version=version,
            score=float(scores[at]),
            decision=bool(scored.decisions[at]),
            row=row,
            features=features[at].astype("<f4").tobytes(),
            at=datetime.now(UTC),
        )
        for at, row in enumerate(rows)
    ]


def test_an_honest_log_is_clean(models, predictions):
    predictions.add(logged(models, request_rows(60)))
    (found,) = check_log(models, predictions, "loans")
    assert found.is_clean
    assert (found.version, found.n_rows) == ("1", 60)


def test_the_smallest_planted_skew_is_caught_with_row_and_feature(models, predictions):
    def nudged(features, scores):
        features[7, 3] = np.nextafter(features[7, 3], np.float32(9))
        return features, scores

    predictions.add(logged(models, request_rows(20), change=nudged))
    (found,) = check_log(models, predictions, "loans")
    assert not found.is_clean
    assert found.n_skewed == 1
    name = models.predictor("loans").model.features.feature_names[3]
    assert found.by_feature == {name: 1}
    assert (found.examples[0].row, found.examples[0].feature) == (7, name)


def test_a_score_that_the_model_does_not_give_is_caught(models, predictions):
    predictions.add(logged(models, request_rows(5), change=lambda features, scores: (features, scores + 1e-9)))
    (found,) = check_log(models, predictions, "loans")
    assert (found.n_skewed, found.n_other_scores) == (0, 5)


def test_features_of_another_transformer_or_a_lost_version_are_told(models, predictions):
    good = logged(models, request_rows(3))
    predictions.add([one.model_copy(update={"features": one.features[:8]}) for one in good])
    predictions.add([one.model_copy(update={"version": "9"}) for one in good])
    found = {one.version: one for one in check_log(models, predictions, "loans")}
    assert "shape" in found["1"].error
    assert "no loans@9" in found["9"].error


def test_nothing_kept_gives_nothing(models, predictions):
    assert check_log(models, predictions, "loans") == []
