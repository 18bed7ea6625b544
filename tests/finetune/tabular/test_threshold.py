import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import InvalidInput
from finetune.tabular.config import ThresholdConfig
from finetune.tabular.threshold import choose_threshold

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
LABELS = np.array([1, 1, 0, 1, 0, 0])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"by": "fixed", "value": 0.3}, 0.3),
        ({"by": "cost", "false_positive": 10, "false_negative": 1}, 0.75),  # two right, one missed: 1
        ({"by": "cost", "false_positive": 1, "false_negative": 10}, 0.55),  # one false alarm: 1
        ({"by": "f1"}, 0.55),  # 2 * 3 / (4 + 3)
        ({"by": "precision", "at_least": 0.9}, 0.75),
        ({"by": "recall", "at_least": 1.0}, 0.55),
        ({"by": "share", "share": 0.5}, 0.65),
    ],
)
def test_by_hand(config, expected):
    assert choose_threshold(SCORES, LABELS, ThresholdConfig(**config)) == pytest.approx(expected)


def test_where_alarms_cost_too_much_nobody_is_positive():
    labels = np.array([0, 0, 1, 0, 0, 0])
    found = choose_threshold(SCORES, labels, ThresholdConfig(false_positive=100, false_negative=1))
    assert found > SCORES.max()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=4, max_size=60), st.floats(0.1, 20))
def test_no_other_threshold_is_cheaper(pairs, ratio):
    scores = np.array([score / 20 for score, _ in pairs])
    labels = np.array([int(label) for _, label in pairs])
    found = choose_threshold(scores, labels, ThresholdConfig(false_negative=ratio))

    def cost(threshold):
        decided = scores >= threshold
        return (decided & (labels == 0)).sum() + ratio * (~decided & (labels == 1)).sum()

    assert cost(found) == pytest.approx(min(cost(one) for one in np.linspace(0, 1, 101)))


def test_a_precision_out_of_reach_is_told_with_the_highest():
    labels = np.array([0, 1, 0, 0, 0, 0])
    with pytest.raises(InvalidInput, match=r"the highest is 0\.500"):
        choose_threshold(SCORES, labels, ThresholdConfig(by="precision", at_least=0.8))
