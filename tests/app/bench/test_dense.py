from pathlib import Path

import numpy as np
import pytest

from app.bench import dense


@pytest.fixture
def real() -> np.ndarray:
    """Clusters of unit vectors, as passages about the same things are."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(100, 32))
    vectors = centres[random.integers(100, size=3000)] + random.normal(0, 0.4, (3000, 32))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_a_made_vector_is_as_far_from_its_passage_as_a_passage_from_its_neighbour(real: np.ndarray) -> None:
    others = real @ real.T - 2 * np.eye(len(real))
    wanted = np.median(others.max(axis=1))
    random, scale = np.random.default_rng(9), dense.noise_scale(real)
    a, b, c = (real[random.integers(len(real), size=4000)] for _ in range(3))
    made = a + scale * (b - c)
    cosines = (a * made).sum(axis=1) / np.linalg.norm(made, axis=1)
    assert np.median(cosines) == pytest.approx(wanted, abs=0.02)


def test_made_vectors_have_length_one_and_are_the_same_every_time(real: np.ndarray, tmp_path: Path) -> None:
    for name in ("a", "b"):
        dense.make(real, 0.3, tmp_path / name, n=dense.BLOCK + 10)
    made = np.fromfile(tmp_path / "a", np.float16).reshape(-1, 32)
    assert len(made) == dense.BLOCK + 10
    np.testing.assert_allclose(np.linalg.norm(made.astype(np.float32), axis=1), 1, atol=2e-3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.slow
def test_build_and_search_report_what_was_measured(real: np.ndarray, tmp_path: Path) -> None:
    dense.make(real, 0.2, tmp_path / dense.MADE, n=60_000)
    np.save(tmp_path / dense.QUERIES, real[:40])
    built, searched = dense.build(tmp_path), dense.search(tmp_path)
    assert built["n_vectors"] == 60_000
    assert 0.9 < searched["recall_at_10"] <= 1
    assert searched["recall_at_10"] == searched["by_lists_probed"][built["n_probe"]]["recall_at_10"]
    assert 0 < searched["p50_ms"] <= searched["p95_ms"]
    assert searched["bytes_a_vector_on_disk"] > 32 * 2.5  # 4-bit codes, and float16 to score again
