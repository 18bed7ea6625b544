import numpy as np
import pytest

from finetune.encoders.grounding import worths
from finetune.encoders.labelled import Judged

pytestmark = pytest.mark.slow  # imports torch


def pairs(n, *, is_left_out=False, source="one", seed=0):
    """Pairs whose adapter knows the label well, whose recall knows it a little, and whose other sign knows nothing."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    found = [
        {"odds": 3 * (0.5 - y) + rng.normal(), "recall": 0.1 * (0.5 - y) + 0.2 * rng.normal(), "noise": rng.normal()}
        for y in labels
    ]
    return found, [Judged(0.5, int(y), source, is_left_out) for y in labels]


def test_log_odds_and_recall_count_alike_in_standard_deviations():
    found, judged = pairs(400)
    worth, _ = worths(found, judged, [i % 5 for i in range(400)])
    spread = {name: np.std([pair[name] for pair in found]) for name in found[0]}
    assert worth["odds"] * spread["odds"] == pytest.approx(worth["recall"] * spread["recall"], rel=1e-3)
    assert worth["odds"] > 0
    assert abs(worth["noise"] * spread["noise"]) < 0.3 * worth["odds"] * spread["odds"]


def test_a_pair_is_judged_by_worths_that_were_fitted_without_it():
    found, judged = pairs(60)
    folds = [i % 5 for i in range(60)]
    _, before = worths(found, judged, folds)
    odd = [{**pair, "odds": pair["odds"] + 100} if i == 7 else pair for i, pair in enumerate(found)]
    _, after = worths(odd, judged, folds)
    same = [i for i in range(60) if folds[i] == folds[7] and i != 7]
    assert np.allclose(before[same], after[same])
    others = [i for i in range(60) if folds[i] != folds[7]]
    assert not np.allclose(before[others], after[others])


def test_left_out_sources_have_no_part_in_the_fitting():
    found, judged = pairs(200)
    strange, apart = pairs(50, is_left_out=True, source="two", seed=1)
    upside_down = [{name: -value for name, value in pair.items()} for pair in strange]
    folds = [i % 5 for i in range(250)]
    alone, _ = worths(found, judged, folds[:200])
    beside, odds = worths(found + upside_down, judged + apart, folds)
    assert alone == beside
    assert len(odds) == 250


def test_a_large_source_weighs_no_more_than_a_small_one():
    found, judged = pairs(100)
    more, other = pairs(100, source="two", seed=3)
    folds = [0] * 400
    once, _ = worths(found + more, judged + other, folds[:200])
    thrice, _ = worths(found * 3 + more, judged * 3 + other, folds)
    for name in ("odds", "recall"):
        spread = [np.std([pair[name] for pair in rows]) for rows in (found + more, found * 3 + more)]
        assert once[name] * spread[0] == pytest.approx(thrice[name] * spread[1], rel=0.1)


def test_without_both_labels_the_adapters_word_stands():
    found, _ = pairs(4)
    judged = [Judged(0.5, 0, "one", False)] * 4
    worth, odds = worths(found, judged, [0, 1, 2, 3])
    assert worth == {"odds": 1.0}
    assert list(odds) == [pair["odds"] for pair in found]
