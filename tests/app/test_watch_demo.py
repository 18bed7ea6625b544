import pytest

from app.settings import Settings
from app.watch_demo import DRIFT_DAY, NEW, run_demo
from evals.drift.store import DriftStore
from evals.suite import load_suite
from tests.app.answering_product import product

pytestmark = pytest.mark.slow


def test_two_months_end_with_an_alarm_its_cause_a_suite_and_an_action(tmp_path):
    from app.sample import ingest_sample
    from app.server import SAMPLES

    with product(tmp_path) as assay:
        ingest_sample(assay, SAMPLES)
        done = run_demo(Settings(home=tmp_path), assay, suites=tmp_path / "suites")
        outcomes = [checked.findings.check.outcome for checked in done.checks]
        (alarm,) = DriftStore(assay.stores.database).alarms()
        found = DriftStore(assay.stores.database).newest_map()
    assert done.n_requests == 63 * 40
    assert outcomes == ["quiet", "alarm", "alarm", "alarm", "alarm"]
    assert alarm.status == "confirmed"
    assert (alarm.opened_at - done.checks[0].findings.check.window_end).days == 7
    assert DRIFT_DAY == 35
    assert alarm.harm > 0.01
    asked = set(NEW.read_text().splitlines())
    assert any(set(cause.examples) & asked for cause in alarm.causes)
    assert load_suite(tmp_path / "suites" / f"{alarm.suite}.yaml").name == alarm.suite
    assert any(point.is_gap or point.cluster >= 0 for point in found[1])
