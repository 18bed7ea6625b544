import threading
from datetime import UTC, datetime, timedelta

import pytest

from data.database import Database
from data.errors import InvalidInput
from serving.rollout.state import GateMissing, Release, Stage
from serving.rollout.store import By, Moved, RolloutStore
from tests.serving.rollout.conftest import ANNA

SEVEN = Release(version="7", digest="d7")


def test_promotion_needs_a_verdict_that_passed_for_the_same_files_and_was_not_overruled(store, judged):
    store.start("support", SEVEN, ANNA)
    for outcome, digest in ((None, ""), ("fail", "d7"), ("inconclusive", "d7"), ("pass", "other files")):
        if outcome:
            judged("support", "7", outcome, digest)
        with pytest.raises(GateMissing):
            store.promote("support", ANNA)
    identity = judged("support", "7", "pass", "d7")
    assert store.promote("support", ANNA).candidate.stage is Stage.CANARY
    judged("support", "7", "fail", "d7")
    with pytest.raises(GateMissing):
        store.promote("support", ANNA)
    newest = judged("support", "7", "pass", "d7")
    assert store.promote("support", ANNA).champion == SEVEN.model_copy(update={"verdict_id": newest})
    assert [e.verdict_id for e in store.history("support")] == [newest, identity, ""]


def test_a_canary_cannot_start_without_a_verdict_and_a_shadow_can(store):
    with pytest.raises(GateMissing):
        store.start("support", SEVEN, ANNA, stage=Stage.CANARY)
    assert store.start("support", SEVEN, ANNA).candidate.stage is Stage.SHADOW


def test_history_says_who_when_why_and_what_held_afterwards(database, judged):
    clock = iter(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(100))
    store = RolloutStore(database, now=lambda: next(clock))
    judged("support", "7", "pass", "d7")
    store.start("support", SEVEN, By("anna", "new data"), stage=Stage.CANARY)
    store.promote("support", By("ben", "looks good"))
    store.rollback("support", By("cleo", "complaints"))
    assert [(e.action, e.who, e.why, e.at.hour) for e in store.history("support")] == [
        ("rollback", "cleo", "complaints", 2),
        ("promote", "ben", "looks good", 1),
        ("start", "anna", "new data", 0),
    ]
    assert store.history("another") == []


def test_what_was_live_then_is_answered_for_any_time(database, judged):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock = iter(start + timedelta(hours=n) for n in range(100))
    store = RolloutStore(database, now=lambda: next(clock))
    judged("support", "7", "pass", "d7")
    store.start("support", SEVEN, ANNA, stage=Stage.CANARY)  # 00:00
    store.bind("acme", "", "support", ANNA)  # 01:00
    store.promote("support", ANNA)  # 02:00
    store.rollback("support", ANNA)  # 03:00
    store.bind("acme", "", "", ANNA)  # 04:00

    def then(hours: float):
        live = store.live(start + timedelta(hours=hours))
        state = live.states.get("support")
        return state and state.champion and state.champion.version, live.bound("acme", None)

    assert then(-1) == (None, "")
    assert then(0.5) == (None, "")
    assert then(1.5) == (None, "support")
    assert then(2.5) == ("7", "support")
    assert then(3.5) == (None, "support")
    assert then(9) == (None, "")
    east = (start + timedelta(hours=2.5)).astimezone(datetime.now().astimezone().tzinfo)
    assert store.live(east).states["support"].champion.version == "7"


def test_a_collections_binding_beats_its_tenants_and_no_other_tenant_sees_it(store):
    store.start("a", SEVEN, ANNA)
    store.start("b", SEVEN, ANNA)
    store.bind("acme", "", "a", ANNA)
    store.bind("acme", "legal", "b", ANNA)
    live = store.live()
    assert [live.bound("acme", c) for c in (None, "legal", "sales")] == ["a", "b", "a"]
    assert live.bound("other", "legal") == ""


def test_binding_to_what_does_not_exist_is_refused(store):
    with pytest.raises(InvalidInput, match="no rollout 'nope'"):
        store.bind("acme", "", "nope", ANNA)


def test_every_change_moves_the_generation(store):
    seen = [store.generation()]
    store.start("a", SEVEN, ANNA)
    seen.append(store.generation())
    store.bind("acme", "", "a", ANNA)
    seen.append(store.generation())
    assert len(set(seen)) == 3
    assert store.live().generation == seen[-1]


def test_of_two_decisions_on_the_same_state_one_is_refused(store):
    state = store.start("a", SEVEN, ANNA)
    store.rollback("a", By("first", "", expected=state.revision))
    with pytest.raises(Moved):
        store.rollback("a", By("second", "", expected=state.revision))


@pytest.mark.postgres
@pytest.mark.slow
def test_many_writers_at_once_leave_one_unbroken_history_on_postgres(postgres_url):
    database = Database(postgres_url)
    database.migrate()
    store = RolloutStore(database)
    _write_at_once(store)
    revisions = [e.revision for e in store.history("a")]
    assert revisions == list(range(len(revisions), 0, -1))
    assert store.live(datetime.now(UTC)).states["a"].revision == len(revisions)
    database.close()


def test_many_writers_at_once_leave_one_unbroken_history(store):
    _write_at_once(store)
    revisions = [e.revision for e in store.history("a")]
    assert revisions == list(range(len(revisions), 0, -1))


def _write_at_once(store: RolloutStore) -> None:
    def work(n: int) -> None:
        for _ in range(5):
            try:
                store.start("a", Release(version=str(n)), By(f"t{n}", ""))
                store.rollback("a", By(f"t{n}", ""))
            except (InvalidInput, Moved):
                pass

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("name", ["", "a@b", "a/b", " a"])
def test_a_name_that_could_be_mistaken_is_refused(store, name):
    with pytest.raises(InvalidInput):
        store.start(name, SEVEN, ANNA)
