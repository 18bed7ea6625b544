"""Where repeated scores of the same samples differ: judge, generator, retriever, or the samples themselves.

A nested random effects model: a sample is retrieved for several times, each retrieval answered several times, each answer judged
several times. ANOVA estimators for unequal numbers (Henderson's method 1): the sums of squares between groups at each level are
set equal to their expectations. Searle, Casella and McCulloch, "Variance Components" (1992), sections 5.1 to 5.3.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from data.errors import InvalidInput


@dataclass(frozen=True)
class Component:
    """`variance` is None where nothing was repeated at that level, so that nothing is known; never below 0 otherwise."""

    name: str
    variance: float | None
    degrees_of_freedom: int


def nested_components(
    values: Sequence[float], paths: Sequence[tuple[Hashable, ...]], names: Sequence[str]
) -> list[Component]:
    """Split the variance of `values` over levels, outermost first.

    `paths` gives each value's group at each level but the last, e.g. (sample, retrieval, answer); `names` has one entry more, for what is
    left within the innermost group (the judge). Raises: InvalidInput for lengths that do not fit.
    """
    if len(values) != len(paths) or not values or any(len(path) != len(names) - 1 for path in paths):
        raise InvalidInput(f"{len(values)} values with paths of {len(names) - 1} levels are needed; got {len(paths)}.")
    numbers = np.asarray(values, float)
    groups = [_numbered([path[: level + 1] for path in paths]) for level in range(len(names) - 1)]
    levels = [np.zeros(len(numbers), int), *groups, np.arange(len(numbers))]
    sums = np.array([_between(numbers, groups) for groups in levels])
    shares = np.array([[_share(outer, inner) for inner in levels[1:]] for outer in levels])
    between, expected = np.diff(sums), np.diff(shares, axis=0)
    counts = [len(set(groups.tolist())) for groups in levels]
    freedom = [inner - outer for outer, inner in pairwise(counts)]
    return _solved(names, between, expected, freedom)


def _solved(names: Sequence[str], between: np.ndarray, expected: np.ndarray, freedom: list[int]) -> list[Component]:
    """From the innermost level outwards: each sum of squares holds its own component and those within it."""
    found: list[float | None] = [None] * len(names)
    for level in reversed(range(len(names))):
        if freedom[level] > 0:
            inside = sum(expected[level, m] * (found[m] or 0.0) for m in range(level + 1, len(names)))
            found[level] = max(0.0, float((between[level] - inside) / expected[level, level]))
    return [Component(name, variance, df) for name, variance, df in zip(names, found, freedom, strict=True)]


def _between(numbers: np.ndarray, groups: np.ndarray) -> float:
    """Sum over groups of (sum of values)^2 / size."""
    return float((np.bincount(groups, weights=numbers) ** 2 / np.bincount(groups)).sum())


def _share(outer: np.ndarray, inner: np.ndarray) -> float:
    """The coefficient of the inner level's variance in the expectation of `_between` of the outer level."""
    sizes = Counter(outer.tolist())
    overlaps = Counter(zip(outer.tolist(), inner.tolist(), strict=True))
    return sum(n**2 / sizes[group] for (group, _), n in overlaps.items())


def _numbered(keys: Sequence[Hashable]) -> np.ndarray:
    places: dict[Hashable, int] = {}
    return np.array([places.setdefault(key, len(places)) for key in keys])
