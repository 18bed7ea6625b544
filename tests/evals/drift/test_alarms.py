from datetime import timedelta

import pytest

from evals.drift.alarms import close, confirm, settle
from evals.drift.records import Cause, MonitorValue, Silence
from evals.drift.store import DriftStore
from tests.databases import new_database
from tests.evals.drift.asked import watch
from tests.evals.drift.test_store import NOON, check


@pytest.fixture
def store(tmp_path):
    database = new_database(tmp_path / "assay.db")
    yield DriftStore(database)
    database.close()


def alarming(n, *monitors, harm=0.1):
    cause = Cause(monitor=monitors[0], told=f"{monitors[0]} moved.", harm=harm, action="Look.")
    found = check(n, causes=(cause,), harm=harm, harm_unit="support rate").model_copy(update={"outcome": "alarm"})
    return found, [MonitorValue(monitor=m, at=found.window_end, value=1, is_alarm=True) for m in monitors]


def test_an_alarm_is_opened_confirmed_and_closed_once_each(store):
    events = []
    for n, monitors in enumerate([(), ("a",), ("a", "b"), ("a",), (), (), ()]):
        found, values = alarming(n, *monitors) if monitors else (check(n), [])
        events.append(settle(store, watch(), found, values).event)
    assert events == ["none", "opened", "confirmed", "seen", "quieter", "closed", "none"]
    (alarm,) = store.alarms()
    assert alarm.status == "closed"
    assert alarm.monitors == ("a", "b")
    assert alarm.n_windows == 3


def test_a_worse_window_tells_its_own_cause_and_a_milder_one_does_not(store):
    settle(store, watch(), *alarming(0, "a", harm=0.1))
    assert settle(store, watch(), *alarming(1, "b", harm=0.3)).alarm.cause == "b moved."
    milder = settle(store, watch(), *alarming(2, "c", harm=0.01)).alarm
    assert milder.cause == "b moved."
    assert milder.harm == 0.3


def test_too_few_rows_change_nothing(store):
    settle(store, watch(), *alarming(0, "a"))
    few = check(1).model_copy(update={"outcome": "too_few"})
    assert settle(store, watch(), few, []).event == "none"
    assert store.alarms()[0].n_quiet == 0


def test_a_silence_keeps_the_alarm_and_tells_nobody(store):
    silence = Silence(watch="questions", monitor="a", until=NOON + timedelta(days=9), at=NOON)
    store.silence(silence)
    silenced = settle(store, watch(), *alarming(0, "a"))
    assert silenced.event == "opened"
    assert not silenced.is_told
    assert settle(store, watch(), *alarming(1, "a", "b")).is_told


def test_a_person_may_confirm_and_close(store):
    alarm = settle(store, watch(), *alarming(0, "a")).alarm
    assert confirm(store, alarm.id[:8], "ada", NOON).status == "confirmed"
    closed = close(store, alarm.id, "ada", NOON)
    assert closed.status == "closed"
    assert closed.who == "ada"
    assert settle(store, watch(), *alarming(1, "a")).event == "opened"


def test_where_the_watch_says_so_the_first_window_confirms(store):
    eager = watch(alarms={"confirm_after": 1})
    assert settle(store, eager, *alarming(0, "a")).alarm.status == "confirmed"
