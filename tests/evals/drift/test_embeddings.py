import numpy as np
import pytest
from scipy.linalg import sqrtm

from evals.drift.embeddings import EmbeddingReference, auc, frechet_distance
from evals.drift.features import RandomFeatures, moments

NOTHING = {"classifier": 0.0, "mmd": 0.0, "centroid": 0.0, "frechet": 0.0}
RNG = np.random.default_rng(0)
MIX = RNG.standard_normal((16, 16)) / 4


def drawn(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return ((rng.standard_normal((n, 16)) + shift * (rng.random((n, 1)) < 0.3)) @ MIX).astype(np.float32)


def test_random_features_are_near_the_kernel():
    rows = drawn(200, 1)
    features = RandomFeatures(16, 2.0, n=4096)
    exact = np.exp(-((rows[:, None] - rows[None]) ** 2).sum(-1) / 8)
    np.testing.assert_allclose(features(rows) @ features(rows).T, exact, atol=0.06)


def test_moments_in_pieces_are_those_of_the_whole():
    rows = drawn(20_000, 2) + 100
    mean, covariance = moments(rows)
    np.testing.assert_allclose(mean, rows.mean(axis=0, dtype=np.float64), rtol=1e-5)
    np.testing.assert_allclose(covariance, np.cov(rows.T.astype(np.float64)), atol=2e-3)


def test_the_frechet_distance_is_that_of_the_formula():
    a, b = (np.cov(drawn(300, seed).T.astype(np.float64)) for seed in (1, 2))
    m, n = np.zeros(16), np.full(16, 0.1)
    exact = 16 * 0.01 + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(m, a, n, b) == pytest.approx(exact, abs=1e-6)


@pytest.mark.slow
def test_auc_is_that_of_scikit_learn_with_ties():
    from sklearn.metrics import roc_auc_score

    a, b = RNG.integers(0, 5, 80), RNG.integers(1, 6, 60)
    assert auc(a, b) == pytest.approx(roc_auc_score([0] * 80 + [1] * 60, np.concatenate([a, b])))


@pytest.mark.slow
def test_without_drift_alarms_are_as_rare_as_the_budget_says():
    alarms = dict.fromkeys(NOTHING, 0)
    for seed in range(80):  # windows of one reference share its luck, so each gets its own
        reference = EmbeddingReference(drawn(1000, seed), seed=seed, least=dict(NOTHING))
        for effect in reference.compare(drawn(200, 1000 + seed), 0.1):
            alarms[effect.name] += effect.is_alarm
    assert all(0.02 < n / 80 < 0.2 for n in alarms.values()), alarms


@pytest.mark.slow
def test_a_shift_is_found_by_all_four_and_has_the_same_size_with_more_rows():
    reference = EmbeddingReference(drawn(1500, 0))
    few, many = (reference.compare(drawn(n, 5, shift=1.5), 0.001) for n in (400, 3000))
    assert all(effect.is_alarm for effect in many), many
    for a, b in zip(few, many, strict=True):
        assert a.value == pytest.approx(b.value, abs=0.06)


def test_shuffling_agrees_with_the_simulated_null():
    reference = EmbeddingReference(drawn(600, 0))
    assert reference.permutation_p(drawn(200, 3), 100) > 0.02
    assert reference.permutation_p(drawn(200, 3, shift=2), 100) < 0.02
