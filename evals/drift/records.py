"""What a check of drift finds, as it is kept and shown. Knows no statistic and no database."""

import secrets
from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from data.records import Record

QueryOrChunk = Literal["query", "chunk"]


def new_check_id() -> str:
    return f"chk_{secrets.token_hex(6)}"


def new_alarm_id() -> str:
    return f"alm_{secrets.token_hex(6)}"


class MonitorValue(Record):
    """One effect size in one window. It alarms where `value` is above `threshold`: the least effect that matters plus noise."""

    monitor: str
    """Dotted, coarse to fine: `embedding.mmd`, `stream.novelty`, `column.age.psi`."""
    at: datetime
    """The end of the window."""
    value: float | None
    """The effect; its bias by sampling is taken off. None where it could not be measured, and `note` says why."""
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    least: float = 0.0
    """The effect below which nobody cares."""
    is_alarm: bool = False
    p_value: float | None = None
    harm: float | None = None
    """What it is estimated to cost, in the check's `harm_unit`; None where that cannot be told."""
    note: str = ""
    detail: dict[str, JsonValue] = Field(default_factory=dict)


class Cause(Record):
    """One thing that may be behind an alarm. The first of a check's causes is the most harmful."""

    monitor: str
    told: str
    """One sentence for a person."""
    harm: float | None = None
    slice: str = ""
    """Which part of the traffic: the terms of a cluster of questions, or a column and its values."""
    share: float | None = None
    """That part, of all of the window."""
    examples: tuple[str, ...] = ()
    action: str = ""


class Cluster(Record):
    """Questions of one kind that no chunk is near to."""

    id: int
    terms: tuple[str, ...]
    n: int
    share: float
    """Of the window's questions."""
    similarity: float
    """Mean cosine to the nearest chunk."""
    examples: tuple[str, ...]


class CoveragePoint(Record):
    kind: QueryOrChunk
    x: float
    y: float
    cluster: int = -1
    is_gap: bool = False
    """A question that no chunk is near to."""
    label: str = ""


class DriftCheck(Record):
    """One check of one watch over one window."""

    id: str
    watch: str
    kind: Literal["language", "tabular"]
    outcome: Literal["quiet", "alarm", "too_few"]
    created_at: datetime
    window_start: datetime
    window_end: datetime
    n_reference: int
    n_current: int
    budget: float
    """False alarms that are allowed, over all monitors,"""
    budget_days: float
    """in so many days."""
    n_monitors: int = 0
    harm: float | None = None
    """The largest of the causes'."""
    harm_unit: str = ""
    """What harm counts: `support rate`, `nDCG@10`, `accuracy`, `AUC`."""
    causes: tuple[Cause, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    reports: dict[str, str] = Field(default_factory=dict)
    """Files written beside it, by name: `html`, `evidently.html`, `evidently.json`; paths below var/."""
    seconds: float = 0.0
    note: str = ""


class Alarm(Record):
    """Opened by a check, confirmed by another window or a person, closed when quiet again or by a person."""

    id: str
    watch: str
    kind: Literal["language", "tabular"]
    check_id: str
    """The check that opened it."""
    monitors: tuple[str, ...]
    """Those that alarmed, most harmful first; grows while it is open."""
    opened_at: datetime
    confirmed_at: datetime | None = None
    closed_at: datetime | None = None
    harm: float | None = None
    harm_unit: str = ""
    cause: str = ""
    """The most harmful one, in one sentence."""
    action: str = ""
    """What to do about it."""
    causes: tuple[Cause, ...] = ()
    suite: str = ""
    """The regression suite that was written from the drifted slice."""
    n_windows: int = 1
    """Windows that alarmed since it was opened, its own included."""
    n_quiet: int = 0
    """Quiet windows in a row since."""
    last_seen_at: datetime | None = None
    who: str = ""
    """Who confirmed or closed it, where a person did."""

    @property
    def status(self) -> Literal["open", "confirmed", "closed"]:
        if self.closed_at is not None:
            return "closed"
        return "open" if self.confirmed_at is None else "confirmed"


class Silence(Record):
    """Until then alarms of these monitors are kept but nobody is told."""

    watch: str
    monitor: str = ""
    """Empty for all; `column.age` silences what begins with it."""
    until: datetime
    at: datetime
    who: str = ""
    why: str = ""

    def covers(self, watch: str, monitors: tuple[str, ...], at: datetime) -> bool:
        """Whether nothing of an alarm is outside the silence."""
        named = (not self.monitor or m == self.monitor or m.startswith(f"{self.monitor}.") for m in monitors)
        return self.watch == watch and at < self.until and all(named)
