"""Whether a candidate is worse, or proven not to be, while samples still come in: stopping at any time is honest.

**Worse.** The null says that nothing changed, or for the better: baseline and candidate could be swapped, so that of two differences which are each
other's opposite the loss is no likelier. It holds exactly when a version is compared with itself, whatever a metric's distribution. `SymmetricCapital`
bets against it.
**Within the margin.** The null says that the mean difference is -margin or below. Losses of a candidate are often rare and total, so no
symmetry may be assumed here, only that differences are bounded: `Capital` (Waudby-Smith and Ramdas 2024) bets against it.
**Above or below a floor.** The same, on the candidate's own values.

*Clusters are what is bet on.* Samples about one document share its luck: after one of them was lost, the next is likelier to be lost, so the
mean of a difference given the past is not what the null says, and betting sample by sample would find evidence in one unlucky document.
Documents come in random order (the caller shuffles them with a stated seed) and each is one bet, on the mean of its differences. What
is tested is thus the mean over documents of a document's mean: a document counts once, however many questions it has. Betting on
sums, to count questions, would have to scale every stake by (size / largest size) and be blind to small documents. A cluster mean stays
within the metric's bounds and is symmetric under the first null when whole clusters can be swapped, so both bets stay valid.
"""

from collections.abc import Sequence

import numpy as np

from data.betting import BOLD_FRACTIONS, Capital, Observation, SymmetricCapital, interval


class DifferenceEvidence:
    """Both gamblers on one metric's differences. Differences lie in [-1, 1], positive where the candidate is better."""

    def __init__(self, margin: float) -> None:
        self.worse = SymmetricCapital()
        self.within = Capital(-margin, 1, BOLD_FRACTIONS)
        self._seen: list[Observation] = []

    def add(self, cluster: Sequence[float]) -> None:
        """One document's differences. A cluster without any says nothing."""
        if cluster:
            observation = Observation(float(np.mean(cluster)), -1.0, 1.0)
            self._seen.append(observation)
            self.worse.bet(observation.value)
            self.within.bet(observation)

    @property
    def n_clusters(self) -> int:
        return len(self._seen)

    def interval(self, alpha: float) -> tuple[float, float]:
        """A confidence sequence for the mean difference at its newest point: valid at any stopping time."""
        return interval(self._seen, alpha, fractions=BOLD_FRACTIONS)


class LevelEvidence:
    """Both gamblers on whether a mean lies below or above a level. Values and level lie in [0, 1], 1 being best."""

    def __init__(self, level: float) -> None:
        self.below = Capital(level, -1, BOLD_FRACTIONS)
        self.above = Capital(level, 1, BOLD_FRACTIONS)
        self._level = level
        self._means: list[float] = []

    def add(self, cluster: Sequence[float]) -> None:
        if cluster:
            observation = Observation(float(np.mean(cluster)), 0.0, 1.0)
            self._means.append(observation.value)
            self.below.bet(observation)
            self.above.bet(observation)

    @property
    def is_right_side(self) -> bool:
        """Whether the mean of what was seen is above the level. Money once won proves what holds at some time, this that it still does."""
        return bool(self._means) and float(np.mean(self._means)) > self._level
