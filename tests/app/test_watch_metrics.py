"""What Prometheus and Grafana ask for is what `/metrics` shows."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.settings import ROOT
from app.telemetry import Metrics
from app.watch import RequestWatch
from app.watch_config import WatchConfig
from app.watch_metrics import WatchMetrics
from data.records import Answer, SearchResult
from evals.drift.records import Alarm
from evals.drift.requests import RequestStore
from evals.drift.store import DriftStore
from tests.databases import new_database
from tests.evals.drift.test_store import NOON, check, value

DEPLOY = ROOT / "serving" / "deploy"
NAME = re.compile(r"assay_[a-z0-9_]+")


@pytest.fixture
def database(tmp_path):
    opened = new_database(tmp_path / "assay.db")
    yield opened
    opened.close()


@pytest.fixture
def shown(database):
    """/metrics of a server that has answered, checked and opened an alarm."""
    store = DriftStore(database)
    harmful = check(1, harm=0.1, harm_unit="support rate").model_copy(update={"outcome": "alarm"})
    store.save(harmful, [value(5, is_alarm=True), value(1, "stream.novelty")])
    store.put_alarm(Alarm(id="a", watch="questions", kind="language", check_id="c", monitors=("m",), opened_at=NOON))
    metrics = Metrics({"index_generation_lag": lambda: 0, "index_chunks": lambda: 1})
    metrics.registry.register(WatchMetrics(store, RequestWatch(RequestStore(database), WatchConfig())))
    metrics.request("/v1/chat/completions", "POST", 200, 0.1)
    metrics.answered(Answer(text="x", sentences=(), timings_ms={"answer": 1}))
    metrics.searched(SearchResult(hits=(), snapshot_id="s"))
    return metrics.text().decode()


def samples(text):
    return {
        (s.name, *sorted(s.labels.items())): s.value for f in text_string_to_metric_families(text) for s in f.samples
    }


def test_values_thresholds_and_alarms_are_shown_by_watch_and_monitor(shown):
    found = samples(shown)
    monitor = (("monitor", "embedding.mmd"), ("watch", "questions"))
    assert found["assay_drift_value", *monitor] == 0.5
    assert found["assay_drift_threshold", *monitor] == 0.3
    assert found["assay_drift_alarm", *monitor] == 1
    assert found["assay_drift_alarms_open", ("watch", "questions")] == 1
    assert found["assay_drift_outcome", ("outcome", "alarm"), ("watch", "questions")] == 1
    assert found["assay_drift_harm", ("unit", "support rate"), ("watch", "questions")] == 0.1
    assert found["assay_watch_requests_total", ("outcome", "dropped")] == 0


def expressions():
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    board = json.loads((DEPLOY / "grafana" / "assay.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]


def test_every_query_asks_for_metrics_and_labels_that_are_there(shown):
    there = {}
    for family in text_string_to_metric_families(shown):
        for sample in family.samples:
            there.setdefault(sample.name, set()).update(sample.labels)
    asked = list(expressions())
    assert len(asked) > 15
    for title, expression in asked:
        names = NAME.findall(expression)
        assert names, title
        for name in names:
            assert name in there, f"{title}: {name}"
        for name, label in re.findall(r"(assay_[a-z_]+)\{([a-z]+)=", expression):
            assert label in there[name], f"{title}: {name}{{{label}}}"
        for labels in re.findall(r"by \(([a-z, ]+)\)", expression):
            every = set().union(*(there[name] for name in names))
            assert {label.strip() for label in labels.split(",")} <= every, title


def test_every_rule_has_a_runbook_that_exists():
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert (ROOT / rule["annotations"]["runbook"]).is_file(), rule["alert"]
            assert rule["labels"]["severity"] in ("page", "ticket")
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    assert config["rule_files"] == ["alerts.yaml"]


def test_panels_do_not_overlap():
    board = json.loads((DEPLOY / "grafana" / "assay.json").read_text())
    cells = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_a_database_that_does_not_answer_costs_the_drift_and_not_the_scrape(tmp_path):
    database = new_database(tmp_path / "assay.db")
    metrics = Metrics()
    metrics.registry.register(WatchMetrics(DriftStore(database)))
    Path(tmp_path / "assay.db").write_bytes(b"")
    text = metrics.text().decode()
    database.close()
    assert "assay_watch_up 0.0" in text
    assert "assay_requests_working" in text


def test_scrapes_in_a_row_read_the_database_once(database):
    class Counting(DriftStore):
        n = 0

        def n_open(self):
            self.n += 1
            return super().n_open()

    store = Counting(database)
    metrics = Metrics()
    metrics.registry.register(WatchMetrics(store))
    for _ in range(3):
        metrics.text()
    assert store.n == 1
