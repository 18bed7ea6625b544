"""Checks, values, alarms, silences and maps in the database: what the watch writes and the dashboard reads."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, func, insert, select, update

from data.database import Database
from data.errors import NotFound
from data.watch_tables import drift_alarms, drift_checks, drift_map_points, drift_silences, drift_values
from evals.drift.records import Alarm, CoveragePoint, DriftCheck, MonitorValue, Silence

FIRST = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 1, 1, tzinfo=UTC)


class DriftStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    # -- checks

    def save(self, check: DriftCheck, values: Sequence[MonitorValue], points: Sequence[CoveragePoint] = ()) -> None:
        """Keep a check with all that it measured, in place of an earlier one of the same id."""
        with self._database.append() as connection:
            connection.execute(delete(drift_checks).where(drift_checks.c.id == check.id))
            connection.execute(insert(drift_checks), _check_row(check))
            if values:
                connection.execute(insert(drift_values), [_value_row(check, value) for value in values])
            if points:
                rows = [point.model_dump() | {"check_id": check.id} for point in points]
                connection.execute(insert(drift_map_points), rows)

    def check(self, identity: str) -> DriftCheck:
        """Raises: NotFound."""
        with self._database.read() as connection:
            body = connection.execute(
                select(drift_checks.c.body).where(drift_checks.c.id == identity)
            ).scalar_one_or_none()
        if body is None:
            raise NotFound(f"There is no drift check {identity!r}.", next_step="See: assay drift list")
        return DriftCheck.model_validate(body)

    def checks(
        self, watch: str = "", *, since: datetime = FIRST, until: datetime = LAST, limit: int = 100
    ) -> list[DriftCheck]:
        """Newest window first. `since` and `until` bound the end of the window."""
        asked = select(drift_checks.c.body).where(
            drift_checks.c.window_end >= since, drift_checks.c.window_end <= until
        )
        asked = asked.where(drift_checks.c.watch == watch) if watch else asked
        newest = asked.order_by(drift_checks.c.window_end.desc(), drift_checks.c.created_at.desc()).limit(limit)
        with self._database.read() as connection:
            return [DriftCheck.model_validate(body) for body in connection.execute(newest).scalars()]

    def watches(self) -> list[str]:
        """Names of every watch that was ever checked."""
        with self._database.read() as connection:
            return sorted(connection.execute(select(drift_checks.c.watch).distinct()).scalars())

    # -- values

    def values(
        self, watch: str, monitor: str = "", *, since: datetime = FIRST, until: datetime = LAST, limit: int = 100_000
    ) -> list[MonitorValue]:
        """Oldest first; of every monitor where none is named. Where there are more than `limit`, the newest."""
        asked = select(drift_values.c.body).where(
            drift_values.c.watch == watch, drift_values.c.at >= since, drift_values.c.at <= until
        )
        asked = asked.where(drift_values.c.monitor == monitor) if monitor else asked
        newest = asked.order_by(drift_values.c.at.desc(), drift_values.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            found = [MonitorValue.model_validate(body) for body in connection.execute(newest).scalars()]
        return found[::-1]

    def values_of(self, check_id: str) -> list[MonitorValue]:
        asked = select(drift_values.c.body).where(drift_values.c.check_id == check_id).order_by(drift_values.c.id)
        with self._database.read() as connection:
            return [MonitorValue.model_validate(body) for body in connection.execute(asked).scalars()]

    def monitors(self, watch: str) -> list[str]:
        with self._database.read() as connection:
            return sorted(
                connection.execute(
                    select(drift_values.c.monitor).distinct().where(drift_values.c.watch == watch)
                ).scalars()
            )

    # -- alarms

    def put_alarm(self, alarm: Alarm) -> None:
        """Keep an alarm as it is now."""
        row = {name: getattr(alarm, name) for name in ("opened_at", "confirmed_at", "closed_at", "harm", "suite")}
        row |= {"watch": alarm.watch, "body": alarm.model_dump(mode="json")}
        with self._database.append() as connection:
            changed = connection.execute(update(drift_alarms).where(drift_alarms.c.id == alarm.id).values(**row))
            if not changed.rowcount:
                connection.execute(insert(drift_alarms), row | {"id": alarm.id})

    def alarm(self, identity: str) -> Alarm:
        """By its id or the beginning of it. Raises: NotFound."""
        asked = select(drift_alarms.c.body).where(drift_alarms.c.id.startswith(identity, autoescape=True)).limit(2)
        with self._database.read() as connection:
            found = list(connection.execute(asked).scalars())
        if len(found) != 1:
            some = "no" if not found else "more than one"
            raise NotFound(f"There is {some} alarm {identity!r}.", next_step="See: assay drift alarms")
        return Alarm.model_validate(found[0])

    def alarms(self, watch: str = "", *, only_open: bool = False, limit: int = 100) -> list[Alarm]:
        """Open ones first, the most harmful of them on top; closed ones by when they were opened, newest first."""
        asked = select(drift_alarms.c.body)
        asked = asked.where(drift_alarms.c.watch == watch) if watch else asked
        asked = asked.where(drift_alarms.c.closed_at.is_(None)) if only_open else asked
        newest = asked.order_by(
            drift_alarms.c.closed_at.is_not(None), drift_alarms.c.opened_at.desc(), drift_alarms.c.id
        ).limit(limit)
        with self._database.read() as connection:
            found = [Alarm.model_validate(body) for body in connection.execute(newest).scalars()]
        is_open = [alarm for alarm in found if alarm.closed_at is None]
        return sorted(is_open, key=_harm, reverse=True) + [alarm for alarm in found if alarm.closed_at is not None]

    # -- silences

    def silence(self, silence: Silence) -> None:
        with self._database.append() as connection:
            connection.execute(insert(drift_silences), silence.model_dump())

    def silences(self, at: datetime) -> list[Silence]:
        """Those that still hold."""
        asked = select(drift_silences).where(drift_silences.c.until > at).order_by(drift_silences.c.id)
        with self._database.read() as connection:
            rows = connection.execute(asked).mappings().all()
        return [
            Silence.model_validate(
                {k: v for k, v in row.items() if k != "id"} | {k: _utc(row[k]) for k in ("until", "at")}
            )
            for row in rows
        ]

    # -- maps

    def points(self, check_id: str) -> list[CoveragePoint]:
        asked = select(drift_map_points).where(drift_map_points.c.check_id == check_id).order_by(drift_map_points.c.id)
        with self._database.read() as connection:
            rows = connection.execute(asked).mappings().all()
        return [
            CoveragePoint.model_validate({k: v for k, v in row.items() if k not in ("id", "check_id")}) for row in rows
        ]

    def newest_map(self, watch: str = "") -> tuple[DriftCheck, list[CoveragePoint]] | None:
        """The newest check that has a map, of this watch or of any."""
        asked = (
            select(drift_checks.c.body)
            .where(drift_checks.c.id.in_(select(drift_map_points.c.check_id).distinct()))
            .order_by(drift_checks.c.window_end.desc(), drift_checks.c.created_at.desc())
            .limit(1)
        )
        asked = asked.where(drift_checks.c.watch == watch) if watch else asked
        with self._database.read() as connection:
            body = connection.execute(asked).scalar_one_or_none()
        if body is None:
            return None
        check = DriftCheck.model_validate(body)
        return check, self.points(check.id)

    def n_open(self) -> dict[str, int]:
        """How many alarms are open, by watch."""
        asked = (
            select(drift_alarms.c.watch, func.count().label("n"))
            .where(drift_alarms.c.closed_at.is_(None))
            .group_by(drift_alarms.c.watch)
        )
        with self._database.read() as connection:
            return {row.watch: row.n for row in connection.execute(asked)}


def _check_row(check: DriftCheck) -> dict:
    names = ("id", "watch", "kind", "outcome", "created_at", "window_start", "window_end")
    return {name: getattr(check, name) for name in names} | {"body": check.model_dump(mode="json")}


def _value_row(check: DriftCheck, value: MonitorValue) -> dict:
    names = ("monitor", "at", "value", "low", "high", "threshold", "is_alarm")
    row = {name: getattr(value, name) for name in names}
    return row | {"check_id": check.id, "watch": check.watch, "body": value.model_dump(mode="json")}


def _harm(alarm: Alarm) -> float:
    return alarm.harm if alarm.harm is not None else -1.0


def _utc(at: datetime) -> datetime:
    """SQLite gives times back without their zone."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)
