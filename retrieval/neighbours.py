"""What its neighbours say of a candidate: the scores of those alike, and whether it is near everything. Knows neither indexes nor models.

A question about a subject has many right chunks, and they are alike: scores spread among them (Diaz 2005,
doi:10.1145/1099554.1099722, section 4). Chunks that are near whatever there is are found for any question and count less (hubs:
Conneau et al. 2018, arXiv:1710.04087, equation 3). Figures: docs/decisions/0008-reranker.md.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
SHARPNESS, NEIGHBOURS, WALK = 6, 20, 0.8
"""Neighbours are the nearest 20 by cosine to the 6th power; scores spread as a walk that goes on with probability .8."""
NEAR_SHARE, HUB_WEIGHT = 20, 0.15
"""A hub is told by the nearest twentieth of the background, and counts .15 of what the neighbours do."""


def neighbour_scores(scores: Floats, vectors: Vectors, background: Vectors) -> Floats:
    """What speaks for each candidate by its neighbours, in units of a standard deviation.

    `vectors` are the candidates' unit rows; a row of zeros has no neighbours. `background` are chunks of no question.
    """
    spread = standard(_walked(standard(scores), vectors))
    return spread - HUB_WEIGHT * standard(_nearness(vectors, background))


def standard(values: Floats) -> Floats:
    """Zero mean and unit deviation; zeros where all are equal."""
    deviation = values.std() if len(values) else 0.0
    return (values - values.mean()) / deviation if deviation > 1e-9 else np.zeros(len(values))


def _walked(scores: Floats, vectors: Vectors) -> Floats:
    likeness = np.maximum(_cosines(vectors, vectors), 0.0) ** SHARPNESS
    np.fill_diagonal(likeness, 0.0)
    if len(scores) > NEIGHBOURS:
        likeness[likeness < np.sort(likeness, axis=1)[:, [-NEIGHBOURS]]] = 0.0
    steps = likeness / np.maximum(likeness.sum(axis=1, keepdims=True), 1e-12)
    return np.linalg.solve(np.eye(len(scores)) - WALK * steps, (1 - WALK) * scores)


def _nearness(vectors: Vectors, background: Vectors) -> Floats:
    """The mean cosine with the nearest twentieth of the background; zeros where there is none."""
    n = len(background) // NEAR_SHARE
    if not n:
        return np.zeros(len(vectors))
    return np.partition(_cosines(vectors, background), -n, axis=1)[:, -n:].mean(axis=1)


def _cosines(a: Vectors, b: Vectors) -> Floats:
    """Not by `@`: its threads wait for each other, on a busy machine for ten times as long as all of this takes."""
    return np.einsum("ik,jk->ij", a, b).astype(np.float64)
