"""What answers measured during a trial: numbers per unit in the database, for the judge to weigh. Holds no text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import insert, select

from data.database import Database
from data.tables import rollout_outcomes

Arm = Literal["candidate", "incumbent", "pair"]


class RolloutOutcome(BaseModel):
    """One answer's metrics, each in [0, 1]. A `pair` holds both releases' metrics on the same request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    trial: int
    key: str
    unit: str
    arm: Arm
    metrics: dict[str, float]
    against: dict[str, float] = {}
    share: float = 0.0


@dataclass(frozen=True)
class Later:
    """What became known of an answer: `against` is the incumbent's on the same request, where a shadow was asked."""

    key: str
    metrics: Mapping[str, float]
    against: Mapping[str, float] | None = None


class OutcomeStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, outcomes: Sequence[RolloutOutcome]) -> None:
        if not outcomes:
            return
        at = datetime.now(UTC)
        with self._database.append() as connection:
            connection.execute(insert(rollout_outcomes), [o.model_dump() | {"at": at} for o in outcomes])

    def since(self, name: str, trial: int, last_id: int = 0, limit: int = 20_000) -> list[tuple[int, RolloutOutcome]]:
        """A trial's outcomes in the order in which they came, from `last_id` on (exclusive)."""
        c = rollout_outcomes.c
        query = (
            select(rollout_outcomes).where(c.name == name, c.trial == trial, c.id > last_id).order_by(c.id).limit(limit)
        )
        with self._database.read() as connection:
            return [(row["id"], _outcome(row)) for row in connection.execute(query).mappings()]

    def rate(self, key: str, metrics: Mapping[str, float]) -> bool:
        """Add what became known of an answer later (thumbs, labels). False when the answer was part of no trial."""
        return self.rate_all([Later(key, metrics)]) == 1

    def rate_all(self, later: Sequence[Later]) -> int:
        """The same of many, a shadow beside what was shown where `against` is given; returns how many were part of a trial."""
        c, found = rollout_outcomes.c, []
        with self._database.read() as connection:
            for one in later:
                arm = c.arm != "pair" if one.against is None else c.arm == "pair"
                query = select(rollout_outcomes).where(c.key == one.key, arm).order_by(c.id).limit(1)
                if (row := connection.execute(query).mappings().one_or_none()) is not None:
                    update = {"metrics": dict(one.metrics), "against": dict(one.against or {})}
                    found.append(_outcome(row).model_copy(update=update))
        self.add(found)
        return len(found)


def _outcome(row) -> RolloutOutcome:
    return RolloutOutcome(**{name: row[name] for name in RolloutOutcome.model_fields})
