import numpy as np
import pandas as pd
import pytest

from app.bench.plain_xgboost import figures, plain_scores
from app.bench.tabular_training import difference

pytestmark = pytest.mark.slow


def test_the_plain_model_learns_from_words_and_numbers():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=600), "word": rng.choice(["a", "b", "c"], 600)})
    labels = ((frame["x"] > 0) ^ (frame["word"] == "b")).to_numpy().astype(np.int8)
    scores = plain_scores(frame[:400], labels[:400], frame[400:], n_trials=1)
    assert figures(labels[400:], scores)["roc_auc"] > 0.95


def test_a_better_ranking_is_a_difference_above_zero():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    good, bad = labels + rng.normal(0, 0.5, 400), labels + rng.normal(0, 3, 400)
    value, low, high = difference(labels, good, bad, n_resamples=200)["roc_auc"]
    assert 0 < low < value < high
    assert difference(labels, good, good, n_resamples=50)["pr_auc"] == [0.0, 0.0, 0.0]
