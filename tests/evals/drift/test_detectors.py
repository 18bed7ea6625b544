import numpy as np
import pytest

from evals.drift.detectors import BOTH, RankBettors, StreamDetector


@pytest.mark.parametrize("sides", ["upper", BOTH])
def test_every_bet_is_fair_on_uniform_ranks(sides):
    bettors = RankBettors(sides)
    ranks = (np.arange(20_000) + 0.5) / 20_000
    mean = np.mean([bettors.factors(bettors.place(float(rank))) for rank in ranks], axis=0)
    np.testing.assert_allclose(mean, 1, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "law", [lambda rng, n: rng.standard_cauchy(n), lambda rng, n: (rng.random(n) < 0.1).astype(float)]
)
def test_without_a_change_it_runs_at_least_as_long_as_promised_on_average(law):
    rng = np.random.default_rng(1)
    run_length, runs = 200.0, []
    for k in range(60):
        detector = StreamDetector(law(rng, 200), run_length, seed=k)
        alarms = (n for n, score in enumerate(law(rng, 2000), 1) if detector.add(float(score)) is not None)
        runs.append(next(alarms, 2000))
    assert np.mean(runs) > 0.9 * run_length


def test_a_shift_is_found_soon_and_its_beginning_is_told():
    rng = np.random.default_rng(0)
    detector = StreamDetector(rng.normal(0, 1, 500), 10_000, seed=0)
    scores = np.concatenate([rng.normal(0, 1, 300), rng.normal(2, 1, 100)])
    found = next(f for f in map(detector.add, scores.tolist()) if f is not None)
    assert 300 < found.at < 340
    assert 280 < found.began < 320
    assert detector.evidence == 0


def test_yes_no_scores_that_grow_more_frequent_are_found():
    rng = np.random.default_rng(0)
    detector = StreamDetector((rng.random(500) < 0.05).astype(float), 1000, seed=0)
    after = (rng.random(500) < 0.4).astype(float)
    assert any(detector.add(float(score)) is not None for score in after)


def test_an_unmeasured_score_is_passed_over():
    detector = StreamDetector([1.0, 2.0], 100)
    assert detector.add(float("nan")) is None
    assert detector.evidence == 0
