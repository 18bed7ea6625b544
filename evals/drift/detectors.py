"""Change detectors for streams, with a guaranteed mean time between false alarms and no assumption on what is measured.

Each new score is ranked among all before it (the reference first): under exchangeability the ranks, ties broken by chance, are independent
and uniform, whatever the distribution (Vovk, Nouretdinov and Gammerman, "Testing exchangeability on-line", ICML 2003). A bettor whose
factor has mean 1 on uniform ranks makes an e-process; started anew at every event and summed (Shiryaev and Roberts), it is an
e-detector: Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection" (New England Journal
of Statistics in Data Science 2024; arXiv:2203.03532), definition 2.2 and theorem 2.4. Stopped at `run_length`, it stops on average no
earlier than after `run_length` events without a change: M_n - n is a martingale, so E[stop] = E[M] >= run_length. For change points
by conformal ranks: Vovk and others, "Retrain or not retrain: conformal test martingales for change-point detection" (COPA 2021).
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

EDGES = (0.03, 0.1, 0.3)
SHARES = (0.05, 0.15)
"""A bettor for each pair: the share of new events that a change would bring, and the upper part of the ranks that they fall in."""
UPPER, BOTH = "upper", "both"


@dataclass(frozen=True)
class Detection:
    """The event at which the evidence reached the bound, from 0, and the likeliest event at which the change began."""

    at: int
    began: int
    evidence: float


class RankBettors:
    """A mixture of likelihood ratios on ranks in (0, 1): `share` of events uniform on the top `edge`, the others uniform.

    Each has mean 1 on uniform ranks. `both` splits the top over the two ends, for scores that may move either way.
    """

    def __init__(self, sides: str = UPPER) -> None:
        ways = [(edge, share) for edge in EDGES for share in SHARES]
        self._edges, self._shares = (np.array(column) for column in zip(*ways, strict=True))
        self._both = sides == BOTH
        bounds = sorted({1 - edge for edge in EDGES})
        self._bounds = bounds
        middles = [low + (high - low) / 2 for low, high in pairwise([0.0, *bounds, 1.0])]
        self._table = [self._of(far) for far in middles]
        self.log_table = [np.log(factors) for factors in self._table]

    @property
    def n(self) -> int:
        return len(self._edges)

    def place(self, rank: float) -> int:
        """Which row of the tables a rank has; 1 is the highest score."""
        return bisect_left(self._bounds, 1 - 2 * min(rank, 1 - rank) if self._both else rank)

    def factors(self, place: int) -> np.ndarray:
        """[n], what each bettor's money is multiplied by."""
        return self._table[place]

    def _of(self, far: float) -> np.ndarray:
        return np.where(far > 1 - self._edges, 1 + self._shares * (1 / self._edges - 1), 1 - self._shares)


class StreamDetector:
    """Shiryaev-Roberts over conformal ranks. `add` one score at a time; after a detection it starts anew.

    Events tied with earlier ones are ranked by chance among them, which keeps ranks uniform for yes/no scores too.
    """

    def __init__(self, reference: Sequence[float], run_length: float, *, sides: str = UPPER, seed: int = 0) -> None:
        self.run_length = run_length
        self._seen = sorted(float(x) for x in reference if not math.isnan(x))
        self._bettors = RankBettors(sides)
        self._rng = np.random.default_rng(seed)
        self._n = 0
        self._restart()

    def _restart(self) -> None:
        self._sum = np.zeros(self._bettors.n)
        self._best = np.zeros(self._bettors.n)
        self._began = np.full(self._bettors.n, self._n)

    @property
    def evidence(self) -> float:
        """Reaches `run_length` at an alarm."""
        return float(self._sum.sum()) / self._bettors.n

    def add(self, score: float) -> Detection | None:
        """Rank a score and bet; NaN is passed over."""
        if math.isnan(score):
            self._n += 1
            return None
        below, upto = bisect_left(self._seen, score), bisect_right(self._seen, score)
        ties = upto - below + 1
        rank = (below + self._rng.random() * ties) / (len(self._seen) + 1)
        insort(self._seen, score)
        place = self._bettors.place(rank)
        self._sum = (self._sum + 1) * self._bettors.factors(place)
        self._began[self._best <= 0] = self._n
        self._best = np.maximum(self._best, 0) + self._bettors.log_table[place]
        self._n += 1
        if self.evidence < self.run_length:
            return None
        found = Detection(self._n - 1, int(self._began[int(self._sum.argmax())]), self.evidence)
        self._restart()
        return found
