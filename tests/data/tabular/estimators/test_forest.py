import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from data.errors import InvalidInput
from data.tabular.estimators.forest import ForestEstimator, from_bytes

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(300, 6)).astype(np.float32)
LABELS = (MATRIX[:, 0] + RNG.normal(size=300) > 0).astype(int)


def test_it_scores_as_scikit_learn_does():
    forest = RandomForestClassifier(20, random_state=1).fit(MATRIX, LABELS)
    np.testing.assert_allclose(
        ForestEstimator(forest).raw_scores(MATRIX), forest.predict_proba(MATRIX)[:, 1], atol=1e-12
    )


def test_a_row_alone_scores_the_same_bits_as_among_others():
    found = ForestEstimator(RandomForestClassifier(20, random_state=1).fit(MATRIX, LABELS))
    alone = np.concatenate([found.raw_scores(MATRIX[at : at + 1]) for at in range(50)])
    assert alone.tobytes() == found.raw_scores(MATRIX)[:50].tobytes()


def test_another_model_in_its_place_is_refused():
    with pytest.raises(InvalidInput, match="LogisticRegression"):
        from_bytes(skops.io.dumps(LogisticRegression().fit(MATRIX, LABELS)))


def test_a_type_that_scikit_learn_does_not_make_is_refused():
    with pytest.raises(InvalidInput, match="which are not read"):
        from_bytes(skops.io.dumps(_Foreign()))


def test_bytes_that_are_nothing_are_refused():
    with pytest.raises(InvalidInput, match="no random forest"):
        from_bytes(b"PK nothing")


def test_a_node_that_points_outside_its_tree_is_refused():
    forest = RandomForestClassifier(3, random_state=1).fit(MATRIX, LABELS)
    tree = forest.estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"]["right_child"][0] = tree.node_count + 1000
    tree.__setstate__(state)
    with pytest.raises(InvalidInput, match="outside its tree"):
        from_bytes(skops.io.dumps(forest))


class _Foreign:
    pass
