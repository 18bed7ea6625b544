"""Rollouts in the database: every change is one appended event with who, when, why and which verdict.

The database is the truth that every process follows; nothing here caches. Times are UTC.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from data.database import Database
from data.errors import InfrastructureError, InvalidInput
from data.tables import rollout_bindings, rollout_events
from serving.rollout.policy import RolloutPolicy
from serving.rollout.state import Release, RolloutState, Stage, gate_missing, promoted, rolled_back, started
from serving.rollout.verdicts import passing_verdict_id

ATTEMPTS = 5
Action = Literal["start", "promote", "rollback"]


class Event(BaseModel):
    """One change of one name; `state` is what held after it."""

    model_config = ConfigDict(frozen=True)

    name: str
    revision: int
    action: Action
    version: str
    at: datetime
    who: str
    why: str
    verdict_id: str
    state: RolloutState


class Binding(BaseModel):
    """Requests of `tenant` in `collection` (empty: in all of them) go to the rollout `name` (empty: to none)."""

    model_config = ConfigDict(frozen=True)

    tenant: str
    collection: str
    name: str
    at: datetime
    who: str
    why: str


@dataclass(frozen=True)
class Live:
    """Everything that was in force at one moment. `generation` grows with every change."""

    generation: tuple[int, int] = (0, 0)
    states: dict[str, RolloutState] = field(default_factory=dict)
    bindings: dict[tuple[str, str], Binding] = field(default_factory=dict)

    def bound(self, tenant: str, collection: str | None) -> str:
        """The name that a collection is bound to, else its tenant, else empty."""
        for place in ((tenant, collection or ""), (tenant, "")):
            if place in self.bindings:
                return self.bindings[place].name
        return ""


@dataclass(frozen=True)
class By:
    """Who makes a change, and why. `expected` refuses it when the name has moved on from that revision."""

    who: str
    why: str
    expected: int | None = None


class Moved(InfrastructureError):
    """Somebody else changed the rollout first. Look again before deciding."""

    code = "rollout_moved"


class RolloutStore:
    def __init__(self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._now = now

    # -- changes

    def start(
        self,
        name: str,
        release: Release,
        by: By,
        *,
        stage: Stage = Stage.SHADOW,
        share: float = 0.1,
        policy: RolloutPolicy = RolloutPolicy(),
    ) -> RolloutState:
        """Put a release on trial. Raises: InvalidInput; GateMissing for a canary without a passing verdict."""

        def move(state: RolloutState, connection: Connection) -> tuple[RolloutState, str, str]:
            verdict = passing_verdict_id(connection, name, release.version, release.digest)
            if stage is Stage.CANARY and not verdict:
                raise gate_missing(name, release.version)
            judged = release.model_copy(update={"verdict_id": verdict})
            return started(state, judged, stage, share, policy), release.version, verdict

        return self._change(_checked(name), "start", by, move)

    def promote(self, name: str, by: By) -> RolloutState:
        """Move the candidate one stage up. Raises: InvalidInput, GateMissing."""

        def move(state: RolloutState, connection: Connection) -> tuple[RolloutState, str, str]:
            release = state.candidate.release if state.candidate else Release(version="-")
            verdict = passing_verdict_id(connection, name, release.version, release.digest)
            return promoted(state, verdict), release.version, verdict

        return self._change(name, "promote", by, move)

    def rollback(self, name: str, by: By) -> RolloutState:
        """Take the candidate back, or where there is none the champion. Raises: InvalidInput."""

        def move(state: RolloutState, _: Connection) -> tuple[RolloutState, str, str]:
            gone = state.candidate.release if state.candidate else state.champion
            after = rolled_back(state)
            return after, gone.version if gone else "", gone.verdict_id if gone else ""

        return self._change(name, "rollback", by, move)

    def bind(self, tenant: str, collection: str, name: str, by: By) -> Binding:
        """Send a tenant's or one collection's requests to a rollout; an empty name takes that back."""
        binding = Binding(tenant=tenant, collection=collection, name=name, at=self._now(), who=by.who, why=by.why)
        with self._database.append() as connection:
            if name and self._newest(connection, name) is None:
                raise InvalidInput(
                    f"There is no rollout {name!r}.",
                    field="name",
                    next_step=f"Start one with: assay rollout start {name}@VERSION",
                )
            connection.execute(insert(rollout_bindings).values(**binding.model_dump()))
        return binding

    # -- reading

    def generation(self) -> tuple[int, int]:
        """Two primary-key look-ups: cheap enough to ask several times a second."""
        with self._database.read() as connection:
            return _generation(connection)

    def live(self, at: datetime | None = None) -> Live:
        """What is in force now, or was at a time."""
        with self._database.read() as connection:
            events = _newest_of(rollout_events, ("name",), at)
            bindings = _newest_of(rollout_bindings, ("tenant", "collection"), at)
            states = [_event(row) for row in connection.execute(events).mappings()]
            bound = [_binding(row) for row in connection.execute(bindings).mappings()]
            return Live(
                _generation(connection),
                {event.name: event.state for event in states},
                {(b.tenant, b.collection): b for b in bound},
            )

    def state(self, name: str) -> RolloutState:
        """Raises: InvalidInput for an unknown name."""
        with self._database.read() as connection:
            event = self._newest(connection, name)
        if event is None:
            raise InvalidInput(f"There is no rollout {name!r}.", field="name", next_step="assay rollout status")
        return event.state

    def history(self, name: str = "", limit: int = 100) -> list[Event]:
        """Newest first."""
        query = select(rollout_events).order_by(rollout_events.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [
                _event(row)
                for row in connection.execute(query.where(rollout_events.c.name == name) if name else query).mappings()
            ]

    # -- inside

    def _change(self, name: str, action: Action, by: By, move: Callable) -> RolloutState:
        """Append one event, computed from the newest state; when another process got there first, look again."""
        for _ in range(ATTEMPTS):
            try:
                with self._database.append() as connection:
                    newest = self._newest(connection, name)
                    state = newest.state if newest else RolloutState(name=name)
                    if by.expected is not None and by.expected != state.revision:
                        raise Moved(f"{name} is at revision {state.revision}, not {by.expected}.")
                    after, version, verdict = move(state, connection)
                    connection.execute(
                        insert(rollout_events).values(
                            name=name,
                            revision=after.revision,
                            action=action,
                            version=version,
                            at=self._now(),
                            who=by.who,
                            why=by.why,
                            verdict_id=verdict,
                            state=after.model_dump(mode="json"),
                        )
                    )
                return after
            except IntegrityError:
                continue
        raise Moved(f"{name} kept changing under {ATTEMPTS} attempts.", next_step="Try again.")

    def _newest(self, connection: Connection, name: str) -> Event | None:
        found = (
            connection.execute(
                select(rollout_events)
                .where(rollout_events.c.name == name)
                .order_by(rollout_events.c.revision.desc())
                .limit(1)
            )
            .mappings()
            .one_or_none()
        )
        return _event(found) if found else None


def _generation(connection: Connection) -> tuple[int, int]:
    events = select(func.max(rollout_events.c.id)).scalar_subquery()
    bindings = select(func.max(rollout_bindings.c.id)).scalar_subquery()
    row = connection.execute(select(events, bindings)).one()
    return row[0] or 0, row[1] or 0


def _newest_of(table, columns: Sequence[str], at: datetime | None):
    newest = select(func.max(table.c.id)).group_by(*(table.c[name] for name in columns))
    if at is not None:
        newest = newest.where(table.c.at <= at.astimezone(UTC))
    return select(table).where(table.c.id.in_(newest))


def _event(row) -> Event:
    return Event(**{name: row[name] for name in Event.model_fields} | {"at": _utc(row["at"])})


def _binding(row) -> Binding:
    return Binding(**{name: row[name] for name in Binding.model_fields} | {"at": _utc(row["at"])})


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)  # SQLite forgets the zone; everything is stored in UTC


def _checked(name: str) -> str:
    if not name or "@" in name or "/" in name or name != name.strip():
        raise InvalidInput(f"A rollout's name may not be empty or hold '@' or '/': {name!r}.", field="name")
    return name
