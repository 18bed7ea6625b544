"""Random features: a kernel as an inner product, so that distances of distributions cost time in proportion to the rows.

Rahimi and Recht, "Random Features for Large-Scale Kernel Machines" (NIPS 2007), for the Gaussian kernel; orthogonal frequencies, which
have less variance: Yu and others, "Orthogonal Random Features" (NIPS 2016).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
CHUNK = 8192
"""Rows at a time: no temporary grows with the number of rows."""
N_PAIRS = 2000


class RandomFeatures:
    """phi(x) with phi(x).phi(y) close to exp(-|x-y|^2 / (2 bandwidth^2)); |phi(x)| = 1."""

    def __init__(self, dim: int, bandwidth: float, *, n: int = 256, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        blocks = []
        while sum(len(block) for block in blocks) < n // 2:
            directions, _ = np.linalg.qr(rng.standard_normal((dim, dim)))
            lengths = np.sqrt(rng.chisquare(dim, dim))
            blocks.append(directions * lengths[:, None])
        self.frequencies = (np.concatenate(blocks)[: n // 2] / bandwidth).astype(np.float32).T
        self.n = 2 * self.frequencies.shape[1]

    def __call__(self, rows: Matrix) -> Matrix:
        """float32 [n, self.n]."""
        angles = rows @ self.frequencies
        scale = np.float32(np.sqrt(2 / self.n))
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1) * scale


def median_distance(rows: Matrix, seed: int = 0) -> float:
    """The usual bandwidth: the median distance between two rows drawn at random."""
    rng = np.random.default_rng(seed)
    left, right = rng.integers(0, len(rows), (2, N_PAIRS))
    distances = np.linalg.norm(rows[left] - rows[right], axis=1)
    positive = distances[distances > 0]
    return float(np.median(positive)) if len(positive) else 1.0


def chunks(n: int) -> Iterator[slice]:
    yield from (slice(at, min(n, at + CHUNK)) for at in range(0, n, CHUNK))


def moments(rows: Matrix, features: RandomFeatures | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean [d] and covariance [d, d] of the rows, or of their features."""
    dim = features.n if features else rows.shape[1]
    total, outer = np.zeros(dim), np.zeros((dim, dim))
    shift = None  # near the mean, so that nothing cancels
    for part in chunks(len(rows)):
        block = features(rows[part]) if features else rows[part]
        shift = block.mean(axis=0) if shift is None else shift
        block = block - shift
        total += block.sum(axis=0, dtype=np.float64)
        outer += block.T @ block
    mean = total / len(rows)
    covariance = outer / len(rows) - np.outer(mean, mean)
    return mean + shift, covariance * len(rows) / max(len(rows) - 1, 1)
