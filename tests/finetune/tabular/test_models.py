import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from data.errors import InvalidInput
from finetune.tabular.config import ModelConfig
from finetune.tabular.models import Part, Settings, fit, full_params

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)


def part(n: int = 1500, types: tuple[str, ...] = ("q",) * 4) -> Part:
    matrix = RNG.normal(size=(n, 4)).astype(np.float32)
    labels = (matrix[:, 0] - matrix[:, 1] + RNG.normal(size=n) > 1).astype(np.int8)
    return Part(matrix, labels, np.ones(n), tuple("abcd"), types)


TRAIN, HELD = part(), part()


@pytest.mark.parametrize("kind", ["logistic_regression", "random_forest", "xgboost"])
def test_each_kind_learns_and_equal_seeds_give_equal_bits(kind):
    model = ModelConfig(kind=kind, params={"n_estimators": 40} if kind == "random_forest" else {})
    first, again = (fit(model, {}, TRAIN, Settings(seed=1), scored=HELD) for _ in range(2))
    scores = first.estimator.raw_scores(HELD.matrix)
    assert roc_auc_score(HELD.labels, scores) > 0.8
    assert first.estimator.kind == kind
    assert scores.tobytes() == again.estimator.raw_scores(HELD.matrix).tobytes()


def test_the_regression_is_scikit_learns():
    found = fit(ModelConfig(kind="logistic_regression"), {"C": 0.3}, TRAIN, Settings())
    theirs = LogisticRegression(C=0.3, max_iter=1000).fit(TRAIN.matrix.astype(float), TRAIN.labels)
    np.testing.assert_allclose(
        found.estimator.raw_scores(HELD.matrix), theirs.predict_proba(HELD.matrix)[:, 1], rtol=1e-6
    )


def test_xgboost_stops_early_and_keeps_the_best_round():
    found = fit(ModelConfig(kind="xgboost", early_stopping=5), {"eta": 0.5}, TRAIN, Settings(), scored=HELD)
    losses = [scored for _, scored in found.curve]
    assert len(losses) == found.n_rounds + 5
    assert found.n_rounds == int(np.argmin(losses)) + 1
    assert found.estimator.native.num_boosted_rounds() == found.n_rounds


def test_rounds_that_were_told_are_grown():
    found = fit(ModelConfig(kind="xgboost"), {}, TRAIN, Settings(), n_rounds=7)
    assert (found.n_rounds, found.estimator.native.num_boosted_rounds()) == (7, 7)


def test_weights_move_the_scores():
    heavy = Part(
        TRAIN.matrix, TRAIN.labels, np.where(TRAIN.labels == 1, 5.0, 0.5), TRAIN.feature_names, TRAIN.feature_types
    )
    plain, moved = (fit(ModelConfig(kind="logistic_regression"), {}, one, Settings()) for one in (TRAIN, heavy))
    assert moved.estimator.raw_scores(HELD.matrix).mean() > plain.estimator.raw_scores(HELD.matrix).mean() + 0.1


def test_codes_are_read_as_categories():
    train = part(types=("q", "q", "q", "c"))
    train.matrix[:, 3] = RNG.integers(0, 6, len(train.labels))
    train.labels[:] = np.isin(train.matrix[:, 3], [0, 3, 5])
    found = fit(ModelConfig(kind="xgboost"), {"max_depth": 1}, train, Settings(), n_rounds=30)
    assert roc_auc_score(train.labels, found.estimator.raw_scores(train.matrix)) == 1.0


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("xgboost", {"max_depht": 3}),
        ("xgboost", {"max_depth": "deep"}),
        ("random_forest", {"n_trees": 3}),
        ("random_forest", {"max_features": 7.5}),
        ("logistic_regression", {"C": -1.0}),
    ],
)
def test_a_parameter_that_the_library_refuses_is_told(kind, params):
    with pytest.raises(InvalidInput, match="refuses"):
        fit(ModelConfig(kind=kind), params, TRAIN, Settings(), n_rounds=2)


def test_what_the_run_sets_itself_is_refused():
    with pytest.raises(InvalidInput, match="seed is set by the run itself"):
        full_params(ModelConfig(kind="xgboost", params={"seed": 3}), {})


def test_a_monotone_column_never_lowers_the_score_as_it_rises():
    noisy = Part(TRAIN.matrix, (RNG.random(1500) < 0.4).astype(np.int8), TRAIN.weights, TRAIN.feature_names, ("q",) * 4)
    rising = np.zeros((200, 4), np.float32)
    rising[:, 0] = np.linspace(-3, 3, 200)
    free, bound = (
        fit(ModelConfig(kind="xgboost", monotone=given), {}, noisy, Settings(), n_rounds=40)
        for given in ({}, {"a": "up"})
    )
    assert np.diff(free.estimator.raw_scores(rising)).min() < 0
    assert np.diff(bound.estimator.raw_scores(rising)).min() >= 0


def test_only_a_number_among_the_features_has_a_direction():
    with pytest.raises(InvalidInput, match=r"models\.monotone: town is no number"):
        fit(ModelConfig(kind="xgboost", monotone={"town": "up"}), {}, TRAIN, Settings(), n_rounds=1)


def test_second_names_of_xgboosts_parameters_are_their_first():
    model = ModelConfig(kind="xgboost", params={"learning_rate": 0.3, "reg_lambda": 2.0})
    given = full_params(model, {"eta": 0.1})
    assert (given["eta"], given["lambda"]) == (0.1, 2.0)
    assert "learning_rate" not in given
