import numpy as np
import pytest

from evals.separation import auroc, balanced_accuracy, best_threshold, share


def test_auroc_counts_pairs_with_ties_half():
    found = auroc([3, 2, 2], [1, 2])
    assert found["value"] == pytest.approx((2 + 1.5 + 1.5) / 6, abs=1e-4)
    assert auroc([1], [0, 0]) is None


def test_the_interval_of_auroc_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(4)
    truth = 0.7602  # P(N(1, 1) > N(0, 1)) = Phi(1 / sqrt 2)
    hits = 0
    for _ in range(300):
        low, high = auroc(rng.normal(1, 1, 60), rng.normal(0, 1, 60))["interval_95"]
        hits += low <= truth <= high
    assert 0.91 <= hits / 300 <= 0.985


def test_balanced_accuracy_weighs_both_sides_alike():
    scores, labels = [0.9, 0.8, 0.7, 0.6, 0.1], [True, True, True, True, False]
    assert balanced_accuracy(scores, labels, 0.65)["value"] == pytest.approx((3 / 4 + 1) / 2)
    assert balanced_accuracy(scores, labels, 2.0)["value"] == 0.5
    assert balanced_accuracy([0.5], [True], 0.1) is None


def test_the_best_threshold_parts_the_classes_and_never_cuts_between_equals():
    assert 0.4 < best_threshold([0.9, 0.8, 0.4, 0.1], [True, True, False, False]) <= 0.8
    scores, labels = [0.5, 0.5, 0.1], [True, False, False]
    assert balanced_accuracy(scores, labels, best_threshold(scores, labels))["value"] == 0.75


def test_a_share_comes_with_its_interval():
    assert share([True, False, False, False])["value"] == 0.25
    assert share([]) is None
