"""What the request log says of each day's questions, in sums: numbers alone, no question's words.

Days that are over are summed once and remembered: a log has millions of rows, and the past does not change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Integer, Select, String, cast, func, select

from data.database import Database
from data.watch_tables import watch_requests


@dataclass(frozen=True)
class Day:
    """Of the requests that were logged: `support` is the mean share of supported sentences where any was checked."""

    day: str
    model: str
    n: int
    n_abstained: int
    support: float | None
    latency_ms: float
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class _Past:
    """Sums of the days from `first` on and before `end`, when `last_id` was the newest row."""

    first: str
    end: str
    last_id: int
    days: tuple[Day, ...]


class Traffic:
    """Threads may share it: what is remembered is replaced as a whole."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._past = _Past("", "", 0, ())

    def by_day(self, since: datetime) -> list[Day]:
        """By day and model, the oldest day first; the first day from its beginning."""
        first, end = _day(since), _day(datetime.now(UTC) - timedelta(days=1))
        past = self._past
        if not (past.first and past.first <= first and past.end == end) or self._has_changed(past):
            past = self._past = _Past(first, end, self._last_id(), tuple(self._sums(first, end)))
        return [day for day in past.days if day.day >= first] + self._sums(max(first, end), None)

    def _sums(self, first: str, end: str | None) -> list[Day]:
        c = watch_requests.c
        day = func.substr(cast(c.at, String), 1, 10)
        columns = (
            func.count(),
            func.sum(cast(c.abstained, Integer)),
            func.avg(c.support),
            func.avg(c.latency_ms),
            func.sum(c.prompt_tokens),
            func.sum(c.completion_tokens),
        )
        asked = select(day, c.model, *columns).where(c.at >= _moment(first)).group_by(day, c.model)
        if end is not None:
            asked = asked.where(c.at < _moment(end))
        return [Day(*row) for row in self._all(asked.order_by(day, c.model))]

    def _has_changed(self, past: _Past) -> bool:
        """Whether a row came since that belongs to a day which was over: somebody brought an old log."""
        c = watch_requests.c
        late = select(c.id).where(c.id > past.last_id, c.at < _moment(past.end)).limit(1)
        return bool(self._all(late))

    def _last_id(self) -> int:
        return self._all(select(func.coalesce(func.max(watch_requests.c.id), 0)))[0][0]

    def _all(self, asked: Select) -> Sequence[Any]:
        with self._database.read() as connection:
            return connection.execute(asked).all()


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def _moment(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)
