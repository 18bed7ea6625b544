import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import InvalidInput
from serving.rollout.policy import RolloutPolicy
from serving.rollout.state import GateMissing, Release, RolloutState, Stage, promoted, rolled_back, routed, started

NEW = Release(version="7", digest="d7")
OLD = Release(version="6", digest="d6", verdict_id="v6")


def _canary(share: float, **policy) -> RolloutState:
    return started(RolloutState(name="support", champion=OLD), NEW, Stage.CANARY, share, RolloutPolicy(**policy))


def test_a_candidate_goes_from_shadow_to_canary_to_champion_and_the_old_champion_is_kept():
    state = started(RolloutState(name="support", champion=OLD), NEW, Stage.SHADOW, 0.1, RolloutPolicy())
    state = promoted(state, "v7")
    assert (state.candidate.stage, state.champion) == (Stage.CANARY, OLD)
    state = promoted(state, "v7")
    assert state.candidate is None
    assert state.champion.verdict_id == "v7"
    assert [r.version for r in state.live] == ["7", "6"]
    assert rolled_back(state).champion == OLD


def test_each_stage_is_a_trial_of_its_own():
    shadow = started(RolloutState(name="support"), NEW, Stage.SHADOW, 0.1, RolloutPolicy())
    assert promoted(shadow, "v7").candidate.trial != shadow.candidate.trial


def test_promotion_without_a_verdict_is_refused():
    with pytest.raises(GateMissing, match="support@7 has no passing verdict"):
        promoted(_canary(0.1), "")


def test_rolling_back_takes_the_candidate_before_the_champion():
    state = rolled_back(_canary(0.1))
    assert (state.candidate, state.champion) == (None, OLD)
    with pytest.raises(InvalidInput, match="no earlier champion"):
        rolled_back(state)


def test_the_first_champion_can_be_rolled_back_to_nothing():
    state = promoted(started(RolloutState(name="s"), NEW, Stage.CANARY, 0.1, RolloutPolicy()), "v")
    assert rolled_back(state).champion is None


def test_only_one_candidate_is_on_trial_and_never_the_champion_itself():
    with pytest.raises(InvalidInput, match="is on trial"):
        started(_canary(0.1), Release(version="8"), Stage.SHADOW, 0.1, RolloutPolicy())
    with pytest.raises(InvalidInput, match="champion already"):
        started(RolloutState(name="s", champion=OLD), OLD, Stage.SHADOW, 0.1, RolloutPolicy())


def test_a_shadow_is_mirrored_and_never_answers():
    state = started(RolloutState(name="s", champion=OLD), NEW, Stage.SHADOW, 0.5, RolloutPolicy())
    routes = [routed(state, f"caller {n}", "") for n in range(200)]
    assert {r.release for r in routes} == {OLD}
    assert {r.shadow for r in routes} == {NEW}


def test_a_canary_gets_its_share_of_callers_and_each_caller_always_the_same_way():
    state = _canary(0.2)
    went = {f"c{n}": routed(state, f"c{n}", "") for n in range(5000)}
    n_candidate = sum(r.stage is Stage.CANARY for r in went.values())
    assert abs(n_candidate / 5000 - 0.2) < 0.02
    assert all(routed(state, caller, f"request {caller}") == route for caller, route in list(went.items())[:100])


@settings(max_examples=200, deadline=None)
@given(caller=st.text(max_size=30), shares=st.tuples(st.floats(0.01, 0.98), st.floats(0.01, 0.98)))
def test_whoever_is_in_a_share_stays_in_a_larger_one(caller, shares):
    small, large = sorted(shares)
    if routed(_canary(small), caller, "").stage is Stage.CANARY:
        assert routed(_canary(large), caller, "").stage is Stage.CANARY


def test_single_requests_are_split_where_the_policy_says_so():
    state = _canary(0.5, unit="request")
    assert {routed(state, "one caller", f"r{n}").stage for n in range(50)} == {Stage.CANARY, Stage.CHAMPION}


def test_a_route_names_the_version_and_nobody():
    route = routed(_canary(0.5), "anna@example.org", "")
    assert route.ref in ("support@7", "support@6")
    assert "anna" not in route.unit
    assert routed(RolloutState(name="s"), "x", "").ref == ""
