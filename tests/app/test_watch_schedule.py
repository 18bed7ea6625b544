"""Prefect's own engine runs the flow; the checks are commands of their own."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def scheduled(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "CRITICAL")
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    from app import watch_schedule

    return watch_schedule


@pytest.mark.filterwarnings("ignore")
def test_a_check_that_cannot_be_made_is_a_failure_that_names_it(scheduled):
    assert scheduled.check_drift.fn("questions") == 3  # too few requests: a result, no failure
    with pytest.raises(RuntimeError, match=r"drift check nothing ended with 2.*There is no watch 'nothing'"):
        scheduled.check_drift.fn("nothing")

    assert scheduled.check_all.name == scheduled.NAME == "assay-drift"
    assert scheduled.check_drift.retries == 2
