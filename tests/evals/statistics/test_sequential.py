import math

import numpy as np
import pytest

from evals.statistics.power import log_peaks_within, log_peaks_worse
from evals.statistics.sequential import DifferenceEvidence, LevelEvidence

ALPHA = 0.05


def test_losses_alone_are_found_after_six_and_one_gain_among_them_takes_more():
    def needed(differences):
        evidence = DifferenceEvidence(0.05)
        for n, difference in enumerate(differences, 1):
            evidence.add([difference])
            if evidence.worse.has_reached(1 / ALPHA):
                return n
        return None

    assert needed([-1.0] * 20) == 6  # a sign test needs five: looking at any time costs one
    assert 6 < needed([1.0] + [-1.0] * 20) <= 12
    assert needed([0.0] * 500) is None


def test_nothing_changed_in_eighty_documents_proves_a_loss_below_five_points():
    evidence = DifferenceEvidence(0.05)
    while not evidence.within.has_reached(1 / ALPHA):
        evidence.add([0.0])
    assert 59 <= evidence.n_clusters <= 80  # (1 - 0.05)^59 < 0.05: nobody can do it with fewer


def test_a_document_counts_once_however_many_questions_it_has():
    once, often = DifferenceEvidence(0.05), DifferenceEvidence(0.05)
    once.add([-0.5])
    often.add([-1.0, 0.0] * 10)
    assert often.worse.e_value == once.worse.e_value
    often.add([])
    assert often.n_clusters == 1


def _lucky(rng, kind, n):
    """`n` comparisons of a version with itself: 60 documents whose questions share their luck, so each mean is its document's."""
    luck = rng.random((n, 60)) < {"rare": 0.05, "noisy": 0.5, "skewed": 0.2}[kind]
    size = np.minimum(rng.exponential(size=(n, 60)) ** 3, 1.0) if kind == "skewed" else 1.0
    return rng.choice([-1.0, 1.0], (n, 60)) * luck * size


@pytest.mark.parametrize("kind", ["rare", "noisy", "skewed"])
def test_a_version_compared_with_itself_is_found_worse_in_at_most_five_percent(kind):
    """1,000 comparisons, looked at after each document."""
    found = log_peaks_worse(_lucky(np.random.default_rng(3), kind, 1000)) >= math.log(1 / ALPHA)
    assert found.mean() <= ALPHA


def test_betting_question_by_question_would_find_a_version_worse_than_itself():
    """Why clusters are what is bet on: the same stream, each of a document's five questions as if it stood alone."""
    questions = np.repeat(_lucky(np.random.default_rng(3), "noisy", 1000), 5, axis=1)
    assert (log_peaks_worse(questions) >= math.log(1 / ALPHA)).mean() > 0.2


@pytest.mark.parametrize("loss", [1.0, 0.2])
def test_a_candidate_that_is_worse_by_the_margin_passes_in_at_most_five_percent(loss):
    """Rare and total, or often and small: its mean loss is 0.05, the margin."""
    lost = -loss * (np.random.default_rng(4).random((1000, 150)) < 0.05 / loss)
    found = (log_peaks_within(lost, 0.05) >= math.log(1 / ALPHA)).mean()
    assert found <= ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / 1000)


def test_a_t_test_would_let_rare_total_losses_pass_more_often_than_it_says():
    """Why passing bets on bounds alone: with 60 documents and a true loss of 0.05, "no loss seen" has no spread at all."""
    rng, n, passed = np.random.default_rng(5), 2000, 0
    for _ in range(n):
        lost = -(rng.random(200) < 0.05).astype(float)
        error = lost.std(ddof=1) / math.sqrt(200)
        passed += lost.mean() - 1.653 * error > -0.05
    assert passed / n > 0.08


def test_a_level_is_proven_above_or_below_or_neither():
    high, low, near = LevelEvidence(0.5), LevelEvidence(0.5), LevelEvidence(0.5)
    for n in range(30):
        high.add([1.0])
        low.add([0.0])
        near.add([float(n % 2)])
    assert high.above.has_reached(20)
    assert low.below.has_reached(20)
    assert not near.above.has_reached(20)
    assert not near.below.has_reached(20)


def test_the_interval_holds_the_mean_and_narrows():
    rng, evidence = np.random.default_rng(6), DifferenceEvidence(0.05)
    for _ in range(300):
        evidence.add([float(np.clip(rng.normal(-0.1, 0.2), -1, 1))])
    low, high = evidence.interval(ALPHA)
    assert low < -0.1 < high
    assert high - low < 0.25
