"""What the request log says of each day's questions, in sums: numbers alone, no question's words."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, String, cast, func, select

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


class Traffic:
    def __init__(self, database: Database) -> None:
        self._database = database

    def by_day(self, since: datetime) -> list[Day]:
        """By day and model, the oldest day first."""
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
        asked = select(day, c.model, *columns).where(c.at >= since).group_by(day, c.model).order_by(day, c.model)
        with self._database.read() as connection:
            return [Day(*row) for row in connection.execute(asked)]
