"""What answers measured during a trial: numbers per unit in the database, for the judge to weigh. Holds no text."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, insert, select

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
        return self._later(key, metrics, {}, rollout_outcomes.c.arm != "pair")

    def rate_pair(self, key: str, candidate: Mapping[str, float], incumbent: Mapping[str, float]) -> bool:
        """The same of a shadow and the release that answered. False when no shadow was asked."""
        return self._later(key, candidate, incumbent, rollout_outcomes.c.arm == "pair")

    def _later(self, key: str, metrics: Mapping, against: Mapping, arm: ColumnElement[bool]) -> bool:
        c = rollout_outcomes.c
        with self._database.read() as connection:
            row = (
                connection.execute(select(rollout_outcomes).where(c.key == key, arm).order_by(c.id).limit(1))
                .mappings()
                .one_or_none()
            )
        if row is None:
            return False
        self.add([_outcome(row).model_copy(update={"metrics": dict(metrics), "against": dict(against)})])
        return True


def _outcome(row) -> RolloutOutcome:
    return RolloutOutcome(**{name: row[name] for name in RolloutOutcome.model_fields})
