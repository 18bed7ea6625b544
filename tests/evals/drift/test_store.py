from datetime import UTC, datetime, timedelta

import pytest

from data.errors import NotFound
from evals.drift.records import Alarm, Cause, CoveragePoint, DriftCheck, MonitorValue, Silence
from evals.drift.store import DriftStore
from tests.databases import new_database

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    database = new_database(tmp_path / "assay.db")
    yield DriftStore(database)
    database.close()


def check(n: int = 0, watch: str = "questions", **changes) -> DriftCheck:
    return DriftCheck(
        id=f"chk_{watch}_{n}",
        watch=watch,
        kind="language",
        outcome="quiet",
        created_at=NOON,
        window_start=NOON + timedelta(days=n - 1),
        window_end=NOON + timedelta(days=n),
        n_reference=1000,
        n_current=100,
        budget=1,
        budget_days=30,
        **changes,
    )


def value(n: int = 0, monitor: str = "embedding.mmd", **changes) -> MonitorValue:
    return MonitorValue(monitor=monitor, at=NOON + timedelta(days=n), value=0.1 * n, threshold=0.3, **changes)


def alarm(identity: str, **changes) -> Alarm:
    given = {"watch": "questions", "kind": "language", "check_id": "chk", "monitors": ("embedding.mmd",)} | changes
    return Alarm(id=identity, **({"opened_at": NOON} | given))


def test_a_check_comes_back_as_it_was_kept_with_its_values_and_points(store):
    kept = check(causes=(Cause(monitor="m", told="New questions.", harm=0.1, examples=("What?",)),))
    points = [CoveragePoint(kind="query", x=1, y=2, cluster=0, is_gap=True, label="What?")]
    store.save(kept, [value(), value(monitor="stream.novelty", is_alarm=True)], points)
    assert store.check(kept.id) == kept
    assert store.values_of(kept.id) == [value(), value(monitor="stream.novelty", is_alarm=True)]
    assert store.points(kept.id) == points
    assert store.newest_map() == (kept, points)


def test_a_check_that_is_kept_again_takes_the_place_of_the_first(store):
    store.save(check(), [value()], [CoveragePoint(kind="chunk", x=0, y=0)])
    store.save(check(note="again"), [])
    assert store.check(check().id).note == "again"
    assert store.values("questions") == []
    assert store.newest_map() is None


def test_checks_come_newest_window_first_within_their_bounds(store):
    for n in (2, 0, 1):
        store.save(check(n), [])
    store.save(check(5, watch="adult"), [])
    assert [c.id for c in store.checks("questions")] == ["chk_questions_2", "chk_questions_1", "chk_questions_0"]
    assert [c.id for c in store.checks("questions", since=NOON + timedelta(hours=1), limit=1)] == ["chk_questions_2"]
    assert store.watches() == ["adult", "questions"]


def test_values_of_a_monitor_come_oldest_first(store):
    for n in (1, 0, 2):
        store.save(check(n), [value(n), value(n, "stream.novelty")])
    assert [v.value for v in store.values("questions", "embedding.mmd")] == [0.0, 0.1, 0.2]
    assert [v.at for v in store.values("questions", "embedding.mmd", limit=2)] == [value(1).at, value(2).at]
    assert store.monitors("questions") == ["embedding.mmd", "stream.novelty"]


def test_open_alarms_stand_before_closed_ones_and_the_most_harmful_on_top(store):
    store.put_alarm(alarm("alm_small", harm=0.01))
    store.put_alarm(alarm("alm_unknown"))
    store.put_alarm(alarm("alm_large", harm=0.2))
    store.put_alarm(alarm("alm_past", harm=0.9, closed_at=NOON))
    assert [a.id for a in store.alarms()] == ["alm_large", "alm_small", "alm_unknown", "alm_past"]
    assert [a.id for a in store.alarms(only_open=True)] == ["alm_large", "alm_small", "alm_unknown"]
    assert store.n_open() == {"questions": 3}


def test_an_alarm_that_changes_stays_one_alarm(store):
    store.put_alarm(alarm("alm_1"))
    store.put_alarm(alarm("alm_1", confirmed_at=NOON, suite="questions-1"))
    assert store.alarm("alm_").status == "confirmed"
    assert len(store.alarms()) == 1


def test_an_alarm_that_is_not_there_is_said_so(store):
    with pytest.raises(NotFound, match="no alarm 'alm_9'"):
        store.alarm("alm_9")
    with pytest.raises(NotFound, match="no drift check"):
        store.check("chk_9")


def test_a_silence_ends_and_covers_only_what_it_names(store):
    silence = Silence(watch="adult", monitor="column.age", until=NOON, at=NOON - timedelta(days=1), who="me")
    store.silence(silence)
    assert store.silences(NOON - timedelta(minutes=1)) == [silence]
    assert store.silences(NOON) == []
    before = NOON - timedelta(minutes=1)
    assert silence.covers("adult", ("column.age.psi",), before)
    assert not silence.covers("adult", ("column.age.psi", "column.ages.psi"), before)
    assert not silence.covers("questions", ("column.age.psi",), before)
