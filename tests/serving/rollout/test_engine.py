import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.rollout.config import RolloutConfig
from serving.rollout.engine import AUTOMATIC, RolloutEngine
from serving.rollout.policy import Metric, RolloutPolicy, Unit
from serving.rollout.state import Release, Stage
from tests.serving.rollout.conftest import ANNA

ROOT = Path(__file__).parent.parent.parent.parent
SEVEN, EIGHT = Release(version="7", digest="d7"), Release(version="8", digest="d8")
QUICK = RolloutPolicy(metrics=(Metric(name="error", tolerance=0.1),), min_units=20)
FOLLOWS = """
import sys, time
from data.database import Database
from serving.rollout.engine import RolloutEngine
engine = RolloutEngine(Database(sys.argv[1]))
engine.start()
before = None
while True:
    champion = engine.route("support", "caller").ref
    if champion != before:
        print(time.time(), champion, flush=True)
        before = champion
    time.sleep(0.005)
"""


@pytest.fixture
def engine(database):
    engine = RolloutEngine(database, RolloutConfig(poll_s=0.05, judge_s=0.05))
    yield engine
    engine.close()


@pytest.fixture
def champion(engine, judged):
    """Version 7 answers; version 8 has passed the gate."""
    judged("support", "7", digest="d7")
    judged("support", "8", digest="d8")
    engine.store.start("support", SEVEN, ANNA, stage=Stage.CANARY)
    engine.store.promote("support", ANNA)


def _serve(engine: RolloutEngine, n: int, errors: dict[str, float], first: int = 0) -> None:
    """Answer `n` new callers; a release's error rate is met exactly over each ten of its callers."""
    counts = dict.fromkeys(errors, 0)
    for caller in range(first, first + n):
        route = engine.route("support", f"caller-{caller}")
        counts[route.ref] = counts.get(route.ref, 0) + 1
        failed = counts[route.ref] % 10 < errors.get(route.ref, 0) * 10
        engine.observe(route, f"key-{caller}", {"error": float(failed)})
    engine.flush()


def test_a_name_that_nobody_started_goes_to_its_base(engine):
    route = engine.route("support", "anna")
    assert (route.release, route.ref, route.stage) == (None, "", None)


def test_outside_a_trial_nothing_is_kept(engine, champion):
    engine.refresh()
    route = engine.route("support", "anna")
    engine.observe(route, "k", {"error": 1.0})
    engine.flush()
    assert route.ref == "support@7"
    assert engine.outcomes.since("support", route.trial) == []


def test_a_bad_canary_is_rolled_back_by_itself_and_history_says_why(engine, champion):
    engine.store.start("support", EIGHT, ANNA, stage=Stage.CANARY, share=0.3, policy=QUICK)
    engine.refresh()
    _serve(engine, 200, {"support@8": 0.6, "support@7": 0.0})
    engine.decide()
    assert engine.route("support", "caller-1").ref == "support@7"
    newest = engine.store.history("support")[0]
    assert (newest.action, newest.version, newest.who) == ("rollback", "8", AUTOMATIC)
    assert "error is worse" in newest.why


def test_a_good_canary_becomes_champion_by_itself(engine, champion):
    engine.store.start("support", EIGHT, ANNA, stage=Stage.CANARY, share=0.5, policy=QUICK)
    engine.refresh()
    _serve(engine, 400, {})
    engine.decide()
    newest = engine.store.history("support")[0]
    assert (newest.action, newest.who, newest.state.champion.version) == ("promote", AUTOMATIC, "8")
    assert {engine.route("support", f"c{n}").ref for n in range(20)} == {"support@8"}


def test_a_shadow_that_does_well_becomes_a_canary_and_its_evidence_starts_afresh(engine, champion):
    engine.store.start("support", EIGHT, ANNA, policy=QUICK)
    engine.refresh()
    for n in range(300):
        route = engine.route("support", f"c{n}")
        assert (route.ref, route.shadow.version) == ("support@7", "8")
        engine.observe_pair(route, f"k{n}", {"error": 0.0}, {"error": 0.0})
    engine.flush()
    engine.decide()
    state = engine.store.state("support")
    assert state.candidate.stage is Stage.CANARY
    assert engine.outcomes.since("support", state.candidate.trial) == []


def test_evidence_does_not_promote_past_the_gate(engine, champion, judged):
    engine.store.start("support", EIGHT, ANNA, stage=Stage.CANARY, share=0.5, policy=QUICK)
    engine.refresh()
    judged("support", "8", "fail", "d8")
    _serve(engine, 400, {})
    engine.decide()
    assert engine.store.state("support").candidate.stage is Stage.CANARY
    judged("support", "8", "pass", "d8")
    engine.decide()
    assert engine.store.state("support").champion.version == "8"


def test_a_policy_that_is_not_automatic_only_shows(engine, champion):
    by_hand = QUICK.model_copy(update={"is_automatic": False})
    engine.store.start("support", EIGHT, ANNA, stage=Stage.CANARY, share=0.3, policy=by_hand)
    engine.refresh()
    _serve(engine, 200, {"support@8": 0.9})
    engine.decide()
    assert engine.store.state("support").candidate is not None
    assert engine.judged("support").decision.move == "rollback"


@pytest.mark.slow
def test_thumbs_that_come_later_count_for_the_version_that_answered(engine, champion):
    thumbs = RolloutPolicy(metrics=(Metric(name="thumbs", higher_is_better=True, is_sparse=True),), unit=Unit.CALLER)
    engine.store.start("support", EIGHT, ANNA, stage=Stage.CANARY, share=0.5, policy=thumbs)
    engine.refresh()
    for n in range(300):
        route = engine.route("support", f"c{n}")
        engine.observe(route, f"r{n}", {"error": 0.0})
        assert engine.rate(f"r{n}", {"thumbs": float(route.ref != "support@8")})
    assert not engine.rate("unknown", {"thumbs": 1.0})
    engine.decide()
    assert "thumbs is worse" in engine.store.history("support")[0].why


def test_two_engines_that_decide_at_once_leave_one_move(database, engine, champion):
    other = RolloutEngine(database)
    engine.store.start("support", EIGHT, ANNA, stage=Stage.CANARY, share=0.3, policy=QUICK)
    engine.refresh()
    other.refresh()
    _serve(engine, 200, {"support@8": 0.6})
    other.decide()
    engine.decide()
    assert [e.action for e in engine.store.history("support")] == ["rollback", "start", "promote", "start"]


def test_the_threads_of_a_started_engine_follow_write_and_decide(engine, champion):
    engine.store.start("support", EIGHT, ANNA, stage=Stage.CANARY, share=0.3, policy=QUICK)
    engine.start()
    _serve(engine, 200, {"support@8": 0.6})
    deadline = time.monotonic() + 20
    while engine.live.states["support"].candidate is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_followers_are_told_of_each_change(engine, champion):
    told = []
    engine.follow(lambda live: told.append(live.states["support"].revision))
    engine.refresh()
    engine.refresh()
    engine.store.rollback("support", ANNA)
    engine.refresh()
    assert told == [2, 3]


@pytest.mark.slow
def test_a_rollback_is_in_force_in_other_processes_within_a_second(database, engine, champion):
    """Two processes with the default poll follow; a third rolls back; both have switched in less than one second."""
    processes = [
        subprocess.Popen([sys.executable, "-c", FOLLOWS, database.url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout.readline().split()[1:] == ["support@7"]
        moved_at = time.time()
        engine.store.rollback("support", ANNA)
        for process in processes:
            at, *now = process.stdout.readline().split()
            assert now == []
            assert float(at) - moved_at < 1.0
    finally:
        for process in processes:
            process.kill()
            process.communicate()
