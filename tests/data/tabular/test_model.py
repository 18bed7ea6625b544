import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import InvalidInput
from data.tabular.model import TabularModel
from tests.data.tabular.small_model import small_model
from tests.data.tabular.small_table import loans_frame, loans_rows

MODEL = small_model()


def test_a_table_and_rows_of_a_request_get_the_same_bits():
    whole = MODEL.scores(loans_frame(40))
    assert whole.dtype == np.float64
    assert whole.tobytes() == MODEL.scores(loans_rows(40)).tobytes()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 59))
def test_a_rows_score_does_not_depend_on_the_rows_beside_it(n, at):
    matrix = MODEL.matrix(loans_frame(60))
    at = at % n
    assert MODEL.scores_of_features(matrix[:n])[at] == MODEL.scores_of_features(matrix[at : at + 1])[0]


def test_no_rows_give_no_scores():
    assert MODEL.scores([]).shape == (0,)
    assert MODEL.scores(loans_frame(5).head(0)).shape == (0,)


def test_a_matrix_of_another_width_is_refused():
    with pytest.raises(InvalidInput, match="features per row"):
        MODEL.scores_of_features(np.zeros((2, 3), dtype=np.float32))


def test_a_score_equal_to_the_threshold_is_positive():
    assert MODEL.decisions(np.array([0.39, 0.4, 0.41])).tolist() == [False, True, True]


def test_an_estimator_of_other_features_is_refused():
    with pytest.raises(InvalidInput, match="the estimator reads"):
        small_model(estimator=_Wide())


def test_a_threshold_outside_of_probabilities_is_refused():
    with pytest.raises(InvalidInput, match="threshold"):
        small_model(threshold=1.5)


def test_what_is_protected_comes_from_the_table():
    assert isinstance(MODEL, TabularModel)
    assert MODEL.protected == ("sex", "children")


class _Wide:
    kind = "logistic_regression"
    n_features = 1000
    native = None
