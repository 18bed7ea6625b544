import numpy as np
import pytest
import xgboost

from data.errors import InvalidInput
from data.tabular.estimators.boosted import BoostedEstimator, from_bytes
from finetune.tabular.bagging import merged

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(500, 5)).astype(np.float32)
MATRIX[:, 4] = RNG.integers(0, 6, 500)
LABELS = (MATRIX[:, 0] + (MATRIX[:, 4] == 2) + RNG.normal(size=500) > 0).astype(int)
TYPES = ["q", "q", "q", "q", "c"]


def grown(seed: int, n_rounds: int = 9, labels: np.ndarray = LABELS, **params) -> xgboost.Booster:
    data = xgboost.DMatrix(MATRIX, labels, feature_types=TYPES, enable_categorical=True)
    settings = {"objective": "binary:logistic", "max_depth": 3, "subsample": 0.5, "seed": seed, "nthread": 1}
    return xgboost.train(settings | params, data, n_rounds)


def margins(booster: xgboost.Booster, **asked) -> np.ndarray:
    return booster.predict(xgboost.DMatrix(MATRIX, feature_types=TYPES, enable_categorical=True), **asked)


@pytest.mark.parametrize("params", [{}, {"num_parallel_tree": 3}])
def test_its_margin_is_the_mean_of_theirs(params):
    apart = [grown(1, **params), grown(2, 14, **params), grown(3, 5, **params)]
    together = merged(apart)
    expected = np.mean([margins(one, output_margin=True) for one in apart], axis=0)
    np.testing.assert_allclose(margins(together, output_margin=True), expected, atol=1e-5)
    assert together.num_boosted_rounds() == 28


def test_its_contributions_are_the_means_of_theirs():
    apart = [grown(1), grown(2)]
    expected = np.mean([margins(one, pred_contribs=True) for one in apart], axis=0)
    np.testing.assert_allclose(margins(merged(apart), pred_contribs=True), expected, atol=1e-5)


def test_it_is_saved_and_read_back_with_the_same_bits():
    estimator = BoostedEstimator(merged([grown(1), grown(2)]))
    again = from_bytes(estimator.to_bytes())
    assert again.raw_scores(MATRIX).tobytes() == estimator.raw_scores(MATRIX).tobytes()


def test_one_stays_as_it_is():
    only = grown(1)
    assert merged([only]) is only


def test_boosters_of_other_labels_are_refused():
    with pytest.raises(InvalidInput, match="cannot be merged"):
        merged([grown(1), grown(1, labels=1 - (LABELS & (RNG.random(500) < 0.5)))])
