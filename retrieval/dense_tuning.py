"""Measures recall against exact search and finds the fewest inverted lists to probe. Knows nothing of FAISS or of files."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Search = Callable[[Floats, int], Floats]
"""(query [dim], number of lists to probe) -> scores of the hits, best first."""
DEPTH = 10
BLOCK = 65_536
FINENESS = 32
"""The number of lists found is within one part in so many of the smallest that will do."""
ROUNDING = 1e-6
"""Two ways of adding up one inner product differ by less than this."""


@dataclass(frozen=True)
class Tuned:
    n_probe: int
    recall: float


def made_up_questions(vectors: NDArray, n: int, random: np.random.Generator) -> Floats:
    """Return `n` unit queries [n, dim], each halfway between two random rows of `vectors` [rows, dim].

    A question lies off the passages: near several, equal to none. Left-out vectors and vectors with added noise are
    found with far fewer probes than real questions and would promise too much (docs/decisions/0003-dense-index.md).
    No query is a stored vector, so none finds itself.
    """
    pairs = random.integers(len(vectors), size=(n, 2))
    mixed = vectors[pairs[:, 0]].astype(np.float32) + vectors[pairs[:, 1]].astype(np.float32)
    return mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-9)


def exact_thresholds(vectors: NDArray, queries: Floats, depth: int = DEPTH) -> Floats:
    """Return the inner product [n] of each query with its `depth`-th nearest row, by comparing it with all rows."""
    best = np.full((len(queries), depth), -np.inf, np.float32)
    for at in range(0, len(vectors), BLOCK):
        scores = np.concatenate([best, queries @ vectors[at : at + BLOCK].astype(np.float32).T], axis=1)
        best = np.partition(scores, -depth, axis=1)[:, -depth:]
    return best.min(axis=1)


def recall(search: Search, n_probe: int, queries: Floats, thresholds: Floats, depth: int = DEPTH) -> float:
    """Share of the `depth` nearest rows that `search` finds. A row as near as the last of them counts as one of them."""
    pairs = zip(queries, thresholds, strict=True)
    found = [np.count_nonzero(search(query, n_probe)[:depth] >= least - ROUNDING) for query, least in pairs]
    return float(np.mean(found)) / depth


def tune(search: Search, queries: Floats, thresholds: Floats, *, n_lists: int, target: float) -> Tuned:
    """Return the fewest lists to probe whose recall reaches `target`: cost grows with the lists probed and nothing else.

    Doubles until the target is reached, then halves the gap: recall grows with the lists probed.
    """
    too_few, enough = 0, 1
    reached = recall(search, enough, queries, thresholds)
    while reached < target and enough < n_lists:
        too_few, enough = enough, min(2 * enough, n_lists)
        reached = recall(search, enough, queries, thresholds)
    while reached >= target and enough - too_few > max(1, enough // FINENESS):
        middle = (too_few + enough) // 2
        if (measured := recall(search, middle, queries, thresholds)) >= target:
            enough, reached = middle, measured
        else:
            too_few = middle
    return Tuned(enough, round(reached, 4))
