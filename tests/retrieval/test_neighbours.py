import numpy as np
import pytest

from retrieval.neighbours import HUB_WEIGHT, neighbour_scores, standard


def rows(*angles: float) -> np.ndarray:
    """Unit vectors of the plane."""
    return np.array([[np.cos(a), np.sin(a)] for a in angles], np.float32)


NO_BACKGROUND = np.empty((0, 2), np.float32)


def test_a_candidate_between_good_ones_is_told_by_them():
    """The third is as poor as the fourth, but alike to the two best."""
    spread = neighbour_scores(np.array([0.9, 0.8, 0.1, 0.1]), rows(0, 0.1, 0.05, 1.5), NO_BACKGROUND)
    assert spread[2] > spread[3] + 0.2
    assert spread.mean() == pytest.approx(0)


def test_scores_spread_as_a_walk_that_returns_to_the_scores():
    """Two alike and one apart, by hand: x = .2 s + .8 P x, P swapping the two and leaving the third nowhere to go."""
    scores = standard(np.array([3.0, 1.0, 2.0]))
    a = (0.2 * scores[0] + 0.16 * scores[1]) / 0.36
    b = (0.2 * scores[1] + 0.16 * scores[0]) / 0.36
    walked = standard(np.array([a, b, 0.2 * scores[2]]))
    found = neighbour_scores(np.array([3.0, 1.0, 2.0]), rows(0, 0.2, np.pi / 2 + 0.2), NO_BACKGROUND)
    assert found == pytest.approx(walked, abs=0.02)  # the third is not quite at a right angle to the first


def test_what_is_near_everything_counts_less():
    """The same scores and neighbours, but the whole background lies at the second."""
    vectors, scores = rows(0, np.pi / 2), np.array([1.0, 1.0])
    found = neighbour_scores(scores, vectors, rows(*[np.pi / 2] * 40))
    assert found == pytest.approx([HUB_WEIGHT, -HUB_WEIGHT])


def test_few_or_equal_candidates_have_nothing_to_tell():
    assert neighbour_scores(np.array([0.4]), rows(0), rows(*[0] * 40)).tolist() == [0.0]
    assert neighbour_scores(np.array([0.4, 0.4]), rows(0, 1), NO_BACKGROUND).tolist() == [0.0, 0.0]
    assert neighbour_scores(np.empty(0), np.empty((0, 2), np.float32), NO_BACKGROUND).tolist() == []


def test_only_the_nearest_twenty_are_neighbours():
    """A far cluster of high scores lies beyond the twenty and does not move the first."""
    vectors = np.concatenate([rows(*np.linspace(0, 0.05, 25)), rows(*np.linspace(1.2, 1.25, 25))])
    low, high = np.zeros(50), np.zeros(50)
    low[25:], high[25:] = 1.0, 5.0
    first, second = (neighbour_scores(scores, vectors, NO_BACKGROUND) for scores in (low, high))
    assert first == pytest.approx(second, abs=1e-6)
