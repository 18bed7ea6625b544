"""Is the newest run of a series worse than runs before it, and since when? Knows no store.

Conservative: of two runs one is worse only where their 95 % intervals do not meet, which by chance alone happens to about one
pair in two hundred; a paired comparison finds smaller losses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from evals.digest_store import Mean, TrendPoint


@dataclass(frozen=True)
class Decline:
    """`since` is when the first run ended up here after the last one that was clearly better."""

    metric: str
    since: datetime
    before: TrendPoint
    after: TrendPoint

    @property
    def loss(self) -> float:
        """Positive, in the metric's unit."""
        return abs((self.before.summary.mean or 0.0) - (self.after.summary.mean or 0.0))


def declined(metric: str, trend: Sequence[TrendPoint]) -> Decline | None:
    """Of a series, oldest first. Runs whose interval cannot be told are passed over."""
    known = [point for point in trend if point.summary.low is not None and point.summary.high is not None]
    if not known:
        return None
    newest = known[-1]
    for place in range(len(known) - 2, -1, -1):
        if _is_better(known[place].summary, newest.summary):
            return Decline(metric, known[place + 1].created_at, known[place], newest)
    return None


def _is_better(one: Mean, other: Mean) -> bool:
    if other.higher_is_better:
        return one.low > other.high
    return one.high < other.low
