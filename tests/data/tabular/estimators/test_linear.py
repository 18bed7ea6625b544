import numpy as np
import pytest

from data.errors import InvalidInput
from data.tabular.estimators.linear import LinearEstimator, from_bytes


def test_it_scores_as_the_formula_says():
    found = LinearEstimator(np.array([2.0, -1.0]), 0.5).raw_scores(np.array([[1, 2], [0, 0]], dtype=np.float32))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-0.5)))


def test_large_margins_stay_probabilities():
    found = LinearEstimator(np.array([1e6]), 0.0).raw_scores(np.array([[-1], [1]], dtype=np.float32))
    assert found.tolist() == [0.0, 1.0]


def test_a_row_alone_scores_the_same_bits_as_among_others():
    rng = np.random.default_rng(0)
    matrix, found = rng.normal(size=(500, 173)).astype(np.float32), LinearEstimator(rng.normal(size=173), 0.1)
    together = found.raw_scores(matrix)
    alone = np.concatenate([found.raw_scores(matrix[at : at + 1]) for at in range(500)])
    assert together.tobytes() == alone.tobytes()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"coefficients": [1], "intercept": "x"}', b'{"coefficients": [], "intercept": 0}']
)
def test_what_is_no_regression_is_refused(content):
    with pytest.raises(InvalidInput, match="no coefficients"):
        from_bytes(content)
