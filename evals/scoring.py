"""What a scorer is: it looks at one sample and what a target gave for it, and returns values or errors. Knows no scorer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from data.records import Observation, Sample, Score


@dataclass(frozen=True)
class Metric:
    """A number that a scorer gives: its name as gates and reports use it, its range, and which end is good.

    `low` and `high` bound every value where both are known; tests that stop early need them.
    """

    name: str
    low: float | None = 0.0
    high: float | None = 1.0
    higher_is_better: bool = True
    unit: str = ""


class Scorer(Protocol):
    """Pure but for the model it may hold. What it cannot judge is a `Score` with an error; what does not apply, no score."""

    id: str
    """Name and version of what is computed, with the digest of any model: part of the cache's key."""
    metrics: tuple[Metric, ...]

    def score(self, sample: Sample, observation: Observation) -> Sequence[Score]:
        """Return at most one score for each of `metrics`."""
        ...
