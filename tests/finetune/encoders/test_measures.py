import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from finetune.encoders.measures import answer_exact, answer_f1, auroc, balanced_accuracy, best_threshold


def test_auroc_equals_the_count_of_pairs_and_scikit_learn_with_ties():
    rng = np.random.default_rng(4)
    positive, negative = rng.integers(0, 9, 40) + 2, rng.integers(0, 9, 60)
    found = auroc(positive, negative)
    by_pairs = np.mean([(p > n) + (p == n) / 2 for p in positive for n in negative])
    assert found.value == pytest.approx(by_pairs)
    assert found.value == pytest.approx(roc_auc_score([1] * 40 + [0] * 60, [*positive, *negative]))


def test_the_interval_of_auroc_holds_the_truth_nineteen_times_in_twenty():
    rng = np.random.default_rng(1)
    truth = 0.7602  # P(x > y) for x ~ N(1, 1), y ~ N(0, 1): Phi(1 / sqrt 2)
    inside = 0
    for _ in range(400):
        found = auroc(rng.normal(1, 1, 60), rng.normal(0, 1, 60))
        inside += found.low <= truth <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_balanced_accuracy_counts_each_label_the_same():
    labels = [0] * 90 + [1] * 10
    said = [0] * 80 + [1] * 10 + [1] * 3 + [0] * 7
    found = balanced_accuracy([a == b for a, b in zip(said, labels, strict=True)], labels)
    assert found.value == pytest.approx((80 / 90 + 3 / 10) / 2)
    assert found.value == pytest.approx(balanced_accuracy_score(labels, said))
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("answer", "golds", "f1", "exact"),
    [
        ("the Normans", ["Normans", "Vikings"], 1.0, 1.0),
        ("in 1931 the mill", ["1931"], 0.5, 0.0),  # "in", "1931", "mill": precision 1/3, recall 1
        ("", ["1931"], 0.0, 0.0),
        ("something", [], 0.0, 0.0),
    ],
)
def test_f1_and_exact_match_are_those_of_squad(answer, golds, f1, exact):
    assert answer_f1(answer, golds) == pytest.approx(f1)
    assert answer_exact(answer, golds) == exact


def test_saying_nothing_is_right_where_nothing_answers():
    assert answer_f1("", []) == 1.0


def test_the_threshold_pays_best_among_all_cuts():
    rng = np.random.default_rng(2)
    scores, given, withheld = rng.normal(size=50).round(1), rng.random(50), (rng.random(50) < 0.5).astype(float)
    threshold = best_threshold(scores, given, withheld)

    def worth(cut):
        return np.where(scores >= cut, given, withheld).sum()

    cuts = [*scores, scores.max() + 1]
    assert worth(threshold) == pytest.approx(max(worth(cut) for cut in cuts))


def test_where_no_answer_pays_none_is_given():
    assert best_threshold([1.0, 2.0], [0.0, 0.0], [1.0, 1.0]) > 2.0
