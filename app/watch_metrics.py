"""The watch in `/metrics`: what the request log did, and of each watch its newest values, thresholds and open alarms.

The database is read at most once in `FRESH_S`, however often Prometheus asks; when it does not answer, `assay_watch_up` is 0 and the rest is left out.
"""

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from data.errors import AssayError
from evals.drift.records import DriftCheck, MonitorValue
from evals.drift.store import DriftStore

if TYPE_CHECKING:
    from app.watch import RequestWatch

FRESH_S = 15.0
MOST_MONITORS = 200
"""Of each watch: what alarms and what is nearest to its threshold comes first."""
OUTCOMES = ("quiet", "alarm", "too_few")


class WatchMetrics(Collector):
    """Registered with `app.telemetry.Metrics`."""

    def __init__(self, store: DriftStore, watch: "RequestWatch | None" = None) -> None:
        self._store, self._watch = store, watch
        self._lock = threading.Lock()
        self._read: tuple[float, list[Metric]] = (-FRESH_S, [])

    def describe(self) -> list[Metric]:
        return [CounterMetricFamily("assay_watch_requests", "Requests that the watch saw")]

    def collect(self) -> Iterator[Metric]:
        yield self._requests()
        with self._lock:
            at, found = self._read
            if time.monotonic() - at >= FRESH_S:
                found = self._stored()
                self._read = (time.monotonic(), found)
        yield from found

    def _requests(self) -> Metric:
        family = CounterMetricFamily("assay_watch_requests", "Requests that the watch saw", labels=["outcome"])
        for outcome, n in (self._watch.counts if self._watch else {}).items():
            family.add_metric([outcome], n)
        return family

    def _stored(self) -> list[Metric]:
        up = GaugeMetricFamily("assay_watch_up", "Whether checks could be read")
        try:
            n_open = self._store.n_open()
            newest = {name: self._store.checks(name, limit=1)[0] for name in self._store.watches()}
            values = {name: self._store.values_of(check.id) for name, check in newest.items()}
        except AssayError:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *_of_checks(newest, n_open), *_of_values(values)]


def _of_checks(newest: dict[str, DriftCheck], n_open: dict[str, int]) -> list[Metric]:
    when = GaugeMetricFamily("assay_drift_checked_timestamp_seconds", "When the newest check ran", labels=["watch"])
    outcome = GaugeMetricFamily("assay_drift_outcome", "1 for what the newest check found", labels=["watch", "outcome"])
    harm = GaugeMetricFamily(
        "assay_drift_harm", "The largest estimated harm of the newest check", labels=["watch", "unit"]
    )
    alarms = GaugeMetricFamily("assay_drift_alarms_open", "Alarms that are not closed", labels=["watch"])
    rows = GaugeMetricFamily("assay_drift_window_rows", "Rows of the newest window", labels=["watch"])
    for name, check in newest.items():
        when.add_metric([name], check.created_at.timestamp())
        rows.add_metric([name], check.n_current)
        alarms.add_metric([name], n_open.get(name, 0))
        for one in OUTCOMES:
            outcome.add_metric([name, one], float(one == check.outcome))
        if check.harm is not None:
            harm.add_metric([name, check.harm_unit], check.harm)
    return [when, outcome, harm, alarms, rows]


def _of_values(values: dict[str, list[MonitorValue]]) -> list[Metric]:
    names = ["watch", "monitor"]
    value = GaugeMetricFamily("assay_drift_value", "The effect that a monitor measured", labels=names)
    threshold = GaugeMetricFamily("assay_drift_threshold", "The effect above which it alarms", labels=names)
    alarm = GaugeMetricFamily("assay_drift_alarm", "1 where a monitor alarms", labels=names)
    for name, found in values.items():
        for one in sorted(found, key=_nearness)[:MOST_MONITORS]:
            if one.value is None:
                continue
            value.add_metric([name, one.monitor], one.value)
            alarm.add_metric([name, one.monitor], float(one.is_alarm))
            if one.threshold is not None:
                threshold.add_metric([name, one.monitor], one.threshold)
    return [value, threshold, alarm]


def _nearness(value: MonitorValue) -> tuple[bool, float]:
    share = value.value / value.threshold if value.value is not None and value.threshold else 0.0
    return not value.is_alarm, -share
