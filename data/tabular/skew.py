"""Skew: do the features that a server logged equal those that training would make of the same rows, bit by bit? Knows no server and no log.

found = skew(transformer, rows, logged)       # raw rows as they came, float32 [n, n_features] as they went to the model
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.errors import InvalidInput
from data.tabular.features import FeatureTransformer

N_EXAMPLES = 20


@dataclass(frozen=True)
class Mismatch:
    row: int
    feature: str
    logged: float
    expected: float


@dataclass(frozen=True)
class Skew:
    n_rows: int
    n_skewed: int
    """Rows with at least one feature of other bits."""
    by_feature: dict[str, int]
    """Only features that differ somewhere, most rows first."""
    examples: tuple[Mismatch, ...]


def skew(transformer: FeatureTransformer, rows: Sequence[Mapping[str, Any]], logged: np.ndarray) -> Skew:
    """Compare bits, so that not even a rounding passes. Raises: InvalidInput where the shapes differ."""
    if logged.shape != (len(rows), transformer.n_features):
        raise InvalidInput(
            f"The log holds features of shape {logged.shape}, the transformer makes {(len(rows), transformer.n_features)}.",
            field="logged",
            next_step="Another transformer made them: compare the digests.",
        )
    empty = np.empty((0, transformer.n_features), dtype=np.float32)
    expected = np.stack([transformer.transform_row(row) for row in rows]) if rows else empty
    differs = np.ascontiguousarray(logged, dtype=np.float32).view(np.int32) != expected.view(np.int32)
    counts = {name: int(n) for name, n in zip(transformer.feature_names, differs.sum(axis=0), strict=True) if n}
    places = np.argwhere(differs)[:N_EXAMPLES]
    return Skew(
        n_rows=len(rows),
        n_skewed=int(differs.any(axis=1).sum()),
        by_feature=dict(sorted(counts.items(), key=lambda one: -one[1])),
        examples=tuple(
            Mismatch(int(r), transformer.feature_names[c], float(logged[r, c]), float(expected[r, c]))
            for r, c in places
        ),
    )
