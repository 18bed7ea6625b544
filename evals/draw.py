"""A seeded draw of rows, so that a large file can be measured in part and again on the same part."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def drawn(rows: Sequence[T], n: int, seed: int = 0) -> list[T]:
    """`n` of the rows in their own order; all of them for 0 or where there are no more."""
    if not 0 < n < len(rows):
        return list(rows)
    return [rows[i] for i in sorted(random.Random(seed).sample(range(len(rows)), n))]
