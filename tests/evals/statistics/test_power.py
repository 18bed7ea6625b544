import numpy as np
import pytest

from evals.statistics.power import (
    Design,
    detection_power,
    log_peaks_within,
    log_peaks_worse,
    passing_power,
    planted,
    smallest_detectable,
)
from evals.statistics.sequential import DifferenceEvidence

SMALL = Design(tuple(range(60)), (1.0,) * 60)
LARGE = Design(tuple(range(200)), (1.0,) * 200)


def test_the_fast_paths_are_the_gamblers_own():
    means = np.random.default_rng(0).normal(-0.1, 0.3, (20, 40)).clip(-1, 1)
    worse, within = [], []
    for row in means:
        evidence = DifferenceEvidence(0.1)
        for value in row:
            evidence.add([float(value)])
        worse.append(evidence.worse.log_peak)
        within.append(evidence.within.log_peak)
    assert log_peaks_worse(means) == pytest.approx(np.array(worse))
    assert log_peaks_within(means, 0.1) == pytest.approx(np.array(within))


def test_the_planted_loss_has_the_size_that_it_says():
    half = Design(tuple(i // 2 for i in range(80)), (0.5,) * 80)
    for design, loss in ((LARGE, 0.05), (half, 0.1)):
        means, overall = planted(design, loss, np.random.default_rng(1))
        assert overall.mean() == pytest.approx(-loss, abs=0.004)
        assert means.shape[1] == design.n_clusters


@pytest.mark.slow
def test_more_samples_find_smaller_losses_and_noise_hides_them():
    found = [smallest_detectable(design, 0.8) for design in (SMALL, LARGE)]
    assert found[1] < 0.05 < found[0] < 0.2
    noisy = Design(LARGE.clusters, LARGE.scores, noise=(0.0, 0.0, 0.0, 1.0, -1.0))
    assert smallest_detectable(noisy, 0.8) > 2 * found[1]


def test_what_is_called_detectable_is_detected_with_that_power():
    found = smallest_detectable(SMALL, 0.8)
    assert detection_power(SMALL, found) >= 0.8
    assert detection_power(SMALL, found, seed=99) >= 0.75
    assert detection_power(SMALL, found / 2) < 0.5


def test_an_unchanged_candidate_passes_where_there_are_enough_documents():
    assert passing_power(SMALL, 0.05) == 0
    assert passing_power(SMALL, 0.1) == 1
    assert passing_power(LARGE, 0.05) == 1
    assert passing_power(LARGE, 0.05, regression=0.05) <= 0.07


def test_a_baseline_without_anything_to_lose_can_lose_nothing():
    assert smallest_detectable(Design(tuple(range(20)), (0.0,) * 20), 0.8) is None


def test_what_passes_before_it_is_found_is_not_promised():
    """With a margin of 0.1, a loss of 0.03 is mostly proven to be within it before it is seen."""
    design = Design(tuple(range(300)), (1.0,) * 300)
    asks_all, stops = (detection_power(design, 0.03, stops_within=margin) for margin in (None, 0.1))
    assert asks_all > 0.8
    assert stops < 0.3
