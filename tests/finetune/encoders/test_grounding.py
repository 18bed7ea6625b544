import numpy as np
import pytest

from data.token_recall import log_odds, weighed
from finetune.encoders.grounding import worths
from finetune.encoders.labelled import Judged

pytestmark = pytest.mark.slow  # imports torch


def rows(n, *, is_left_out=False, source="one", seed=0):
    """Pairs whose adapter knows the label well and whose recall knows it a little."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    odds = 3 * (0.5 - labels) + rng.normal(size=n)
    judged = [
        Judged(float(1 / (1 + np.exp(-o))), int(y), source, is_left_out) for o, y in zip(odds, labels, strict=True)
    ]
    return judged, list(0.1 * (0.5 - labels) + 0.2 * rng.normal(size=n) + 0.7)


def test_log_odds_and_recall_count_alike_in_standard_deviations():
    judged, recalls = rows(400)
    worth = worths(judged, recalls)
    odds = [log_odds(one.probability) for one in judged]
    assert worth["odds"] * np.std(odds) == pytest.approx(worth["recall"] * np.std(recalls), rel=1e-3)
    assert worth["odds"] > 0
    said = [weighed(worth, one.probability, recall) for one, recall in zip(judged, recalls, strict=True)]
    assert np.mean([(p >= 0.5) == (one.label == 0) for p, one in zip(said, judged, strict=True)]) > 0.8


def test_left_out_sources_have_no_part_in_it():
    judged, recalls = rows(200)
    apart, others = rows(50, is_left_out=True, source="two", seed=1)
    assert worths(judged, recalls) == worths(judged + apart, recalls + [-recall for recall in others])


def test_a_large_source_weighs_no_more_than_a_small_one():
    judged, recalls = rows(200)
    more, others = rows(200, source="two", seed=3)
    once, thrice = worths(judged + more, recalls + others), worths(judged * 3 + more, recalls * 3 + others)
    assert once["odds"] == pytest.approx(thrice["odds"], rel=0.1)


def test_rows_of_one_label_say_nothing():
    assert worths([Judged(0.5, 0, "one", False)] * 4, [0.5] * 4) == {}
    assert worths([], []) == {}
