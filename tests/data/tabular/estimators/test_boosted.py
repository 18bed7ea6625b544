import numpy as np
import pytest
import xgboost

from data.errors import InvalidInput
from data.tabular.estimators.boosted import BoostedEstimator, from_bytes

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(400, 6)).astype(np.float32)
MATRIX[:, 5] = RNG.integers(0, 7, 400)
LABELS = (MATRIX[:, 0] + (MATRIX[:, 5] == 3) + RNG.normal(size=400) > 0).astype(int)


def trained(objective: str = "binary:logistic") -> xgboost.Booster:
    data = xgboost.DMatrix(MATRIX, LABELS, feature_types=["q"] * 5 + ["c"], enable_categorical=True)
    return xgboost.train({"objective": objective, "max_depth": 3}, data, 12)


def test_it_scores_as_xgboost_does_and_reads_back_with_the_same_bits():
    booster = trained()
    expected = booster.predict(xgboost.DMatrix(MATRIX, feature_types=["q"] * 5 + ["c"], enable_categorical=True))
    found = BoostedEstimator(booster).raw_scores(MATRIX)
    assert found.astype(np.float32).tobytes() == expected.tobytes()
    assert from_bytes(BoostedEstimator(booster).to_bytes()).raw_scores(MATRIX).tobytes() == found.tobytes()


def test_a_row_alone_scores_the_same_bits_as_among_others():
    found = BoostedEstimator(trained())
    alone = np.concatenate([found.raw_scores(MATRIX[at : at + 1]) for at in range(80)])
    assert alone.tobytes() == found.raw_scores(MATRIX)[:80].tobytes()


def test_trees_for_another_task_are_refused():
    with pytest.raises(InvalidInput, match="reg:squarederror"):
        from_bytes(bytes(trained("reg:squarederror").save_raw("ubj")))


def test_bytes_that_are_no_trees_are_refused():
    with pytest.raises(InvalidInput, match="no trees"):
        from_bytes(b"{nothing")
