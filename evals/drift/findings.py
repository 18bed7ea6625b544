"""One check: compare, judge, explain. What it gives can be stored, shown, and acted on; reads no database and tells nobody."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evals.drift.config import AnyWatch
from evals.drift.harm import table_causes, table_harm, true_loss
from evals.drift.language import LanguageBaseline
from evals.drift.language_causes import UNIT, language_causes
from evals.drift.records import Cause, CoveragePoint, DriftCheck, MonitorValue, new_check_id
from evals.drift.requests import RequestWindow
from evals.drift.tabular import TableBaseline

NOWHERE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Findings:
    """A check with all that it measured. `drifted` are places in the window that a regression suite is made of."""

    check: DriftCheck
    values: list[MonitorValue]
    points: tuple[CoveragePoint, ...] = ()
    drifted: NDArray[np.int64] = field(default_factory=lambda: NOWHERE)

    @property
    def alarmed(self) -> list[MonitorValue]:
        return [value for value in self.values if value.is_alarm]


@dataclass(frozen=True)
class Bounds:
    """Of the window in time."""

    start: datetime
    end: datetime


def too_few(watch: AnyWatch, bounds: Bounds, n_reference: int, n_current: int) -> Findings:
    """The verdict where nothing can be decided."""
    note = f"{n_reference} rows in the reference and {n_current} in the window; {watch.min_rows} are needed in each."
    return Findings(_check(watch, bounds, n_reference, n_current, outcome="too_few", note=note), [])


def is_too_few(watch: AnyWatch, n_reference: int, n_current: int) -> bool:
    return min(n_reference, n_current) < watch.min_rows


def language_findings(
    baseline: LanguageBaseline, window: RequestWindow, bounds: Bounds, more: Sequence[MonitorValue] = ()
) -> Findings:
    """Check a window; `more` are values of the index and of canaries, measured elsewhere."""
    began = time.perf_counter()
    values = [*baseline.compare(window, bounds.end), *baseline.follow(window, bounds.end), *more]
    causes = language_causes(baseline, window, values)
    told = causes.causes if any(value.is_alarm for value in values) else ()
    told += tuple(_index_cause(value) for value in more if value.is_alarm)
    check = _check(
        baseline.config,
        bounds,
        len(baseline.reference),
        len(window),
        outcome="alarm" if any(value.is_alarm for value in values) else "quiet",
        n_monitors=len(baseline.monitors) + len(baseline.streams),
        causes=told,
        clusters=causes.clusters,
        harm=_largest(told),
        harm_unit=UNIT,
        seconds=round(time.perf_counter() - began, 3),
    )
    return Findings(check, values, causes.points, causes.drifted)


def table_findings(baseline: TableBaseline, window: pd.DataFrame, bounds: Bounds) -> Findings:
    began = time.perf_counter()
    values = baseline.compare(window, bounds.end)
    harm = table_harm(baseline, window)
    values += _performance(harm.total, harm.low, harm.high, true_loss(baseline, window), bounds.end)
    values = [
        value.model_copy(update={"harm": harm.by_column.get(value.monitor.partition(".")[2])}) for value in values
    ]
    causes = table_causes(baseline, window, values, harm) if any(value.is_alarm for value in values) else ()
    known = [lost for lost in (_largest(causes), harm.total) if lost is not None]
    check = _check(
        baseline.config,
        bounds,
        len(baseline.reference),
        len(window),
        outcome="alarm" if any(value.is_alarm for value in values) else "quiet",
        n_monitors=len(baseline.monitors),
        causes=causes,
        harm=max(known, default=None) if causes else None,
        harm_unit=harm.unit if harm.total is not None else "",
        seconds=round(time.perf_counter() - began, 3),
    )
    return Findings(check, values, drifted=baseline.unlike(window))


def _performance(
    total: float | None, low: float | None, high: float | None, realised: float | None, at: datetime
) -> list[MonitorValue]:
    """Estimated and realised loss: shown and ranked by, not alarmed on (labels decide that: assay tabular performance)."""
    found = []
    if total is not None:
        found.append(MonitorValue(monitor="performance.estimated_loss", at=at, value=total, low=low, high=high))
    if realised is not None:
        found.append(MonitorValue(monitor="performance.realised_loss", at=at, value=realised))
    return found


def _index_cause(value: MonitorValue) -> Cause:
    return Cause(monitor=value.monitor, told=value.note, share=value.value, action=str(value.detail.get("action", "")))


def _check(watch: AnyWatch, bounds: Bounds, n_reference: int, n_current: int, **more: object) -> DriftCheck:
    return DriftCheck(
        id=new_check_id(),
        watch=watch.name,
        kind=watch.kind,
        created_at=datetime.now(UTC),
        window_start=bounds.start,
        window_end=bounds.end,
        n_reference=n_reference,
        n_current=n_current,
        budget=watch.budget.false_alarms,
        budget_days=watch.budget.days,
        **more,
    )


def _largest(causes: Sequence[Cause]) -> float | None:
    return max((cause.harm for cause in causes if cause.harm is not None), default=None)
