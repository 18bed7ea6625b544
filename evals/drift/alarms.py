"""From checks to alarms that people hear once: opened, confirmed by another window or a person, closed when it is quiet again.

One watch has at most one open alarm; monitors that join it make it larger, not a second one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from evals.drift.config import AnyWatch
from evals.drift.records import Alarm, Cause, DriftCheck, MonitorValue, new_alarm_id
from evals.drift.store import DriftStore

Event = Literal["opened", "confirmed", "seen", "quieter", "closed", "none"]
TOLD: frozenset[Event] = frozenset({"opened", "confirmed", "closed"})
"""What people are told of."""


@dataclass(frozen=True)
class Settled:
    """What a check did to the watch's alarm."""

    event: Event
    alarm: Alarm | None = None
    is_silenced: bool = False

    @property
    def is_told(self) -> bool:
        return self.event in TOLD and not self.is_silenced


def settle(store: DriftStore, watch: AnyWatch, check: DriftCheck, values: list[MonitorValue]) -> Settled:
    """Open, confirm, keep or close the watch's alarm, and store it. A check with too few rows changes nothing."""
    current = next(iter(store.alarms(watch.name, only_open=True)), None)
    if check.outcome == "too_few":
        return Settled("none", current)
    if check.outcome == "quiet":
        return _quiet(store, watch, check, current) if current else Settled("none")
    alarmed = tuple(value.monitor for value in values if value.is_alarm)
    alarm, event = _opened(watch, check, alarmed), "opened"
    if current is not None:
        alarm, event = _seen(watch, current, check, alarmed)
    store.put_alarm(alarm)
    silenced = any(
        silence.covers(watch.name, alarm.monitors, check.window_end) for silence in store.silences(check.window_end)
    )
    return Settled(event, alarm, silenced)


def confirm(store: DriftStore, identity: str, who: str, at: datetime) -> Alarm:
    """A person believes it. Raises: NotFound."""
    alarm = store.alarm(identity)
    changed = alarm.model_copy(update={"confirmed_at": alarm.confirmed_at or at, "who": who})
    store.put_alarm(changed)
    return changed


def close(store: DriftStore, identity: str, who: str, at: datetime) -> Alarm:
    """A person says it is over. Raises: NotFound."""
    alarm = store.alarm(identity)
    changed = alarm.model_copy(update={"closed_at": alarm.closed_at or at, "who": who})
    store.put_alarm(changed)
    return changed


def _opened(watch: AnyWatch, check: DriftCheck, monitors: tuple[str, ...]) -> Alarm:
    first = check.causes[0] if check.causes else None
    return Alarm(
        id=new_alarm_id(),
        watch=watch.name,
        kind=watch.kind,
        check_id=check.id,
        monitors=monitors,
        opened_at=check.window_end,
        confirmed_at=check.window_end if watch.alarms.confirm_after == 1 else None,
        last_seen_at=check.window_end,
        **_told(check, first),
    )


def _seen(watch: AnyWatch, alarm: Alarm, check: DriftCheck, monitors: tuple[str, ...]) -> tuple[Alarm, Event]:
    n_windows = alarm.n_windows + 1
    is_confirmed_now = alarm.confirmed_at is None and n_windows >= watch.alarms.confirm_after
    worse = (check.harm or 0.0) >= (alarm.harm or 0.0)
    changed = alarm.model_copy(
        update={
            "monitors": tuple(dict.fromkeys((*alarm.monitors, *monitors))),
            "n_windows": n_windows,
            "n_quiet": 0,
            "last_seen_at": check.window_end,
            "confirmed_at": check.window_end if is_confirmed_now else alarm.confirmed_at,
            **(_told(check, check.causes[0] if check.causes else None) if worse else {}),
        }
    )
    return changed, "confirmed" if is_confirmed_now else "seen"


def _quiet(store: DriftStore, watch: AnyWatch, check: DriftCheck, alarm: Alarm) -> Settled:
    n_quiet = alarm.n_quiet + 1
    is_over = n_quiet >= watch.alarms.close_after
    changed = alarm.model_copy(update={"n_quiet": n_quiet, "closed_at": check.window_end if is_over else None})
    store.put_alarm(changed)
    silenced = any(
        silence.covers(watch.name, alarm.monitors, check.window_end) for silence in store.silences(check.window_end)
    )
    return Settled("closed" if is_over else "quieter", changed, silenced)


def _told(check: DriftCheck, first: Cause | None) -> dict:
    return {
        "harm": check.harm,
        "harm_unit": check.harm_unit,
        "causes": check.causes,
        "cause": first.told if first else "",
        "action": first.action if first else "",
    }
