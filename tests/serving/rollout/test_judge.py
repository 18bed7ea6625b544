import math

import numpy as np
import pytest

from serving.rollout.judge import Judge, Move
from serving.rollout.outcomes import RolloutOutcome
from serving.rollout.policy import METRICS, Metric, RolloutPolicy
from serving.rollout.state import Candidate, Release, RolloutState, Stage, routed

RATES = {"error": 0.02, "abstained": 0.1, "slow": 0.05, "support": 0.9}


def _stream(rng, n: int, share: float, candidate: dict, incumbent: dict, rates_thumbs=(0.2, 0.2)):
    """`n` callers; `thumbs` is (up rate among those who rate) and a fifth of all rate."""
    for unit in range(n):
        is_candidate = bool(rng.random() < share)
        rates = candidate if is_candidate else incumbent
        metrics = {name: float(rng.random() < rate) for name, rate in rates.items() if name != "thumbs"}
        if "thumbs" in rates and rng.random() < rates_thumbs[not is_candidate]:
            metrics["thumbs"] = float(rng.random() < rates["thumbs"])
        arm = "candidate" if is_candidate else "incumbent"
        yield RolloutOutcome(name="s", trial=1, key=str(unit), unit=f"u{unit}", arm=arm, metrics=metrics, share=share)


@pytest.mark.slow
def test_identical_models_are_rolled_back_by_at_most_alpha_of_trials_with_all_metrics_together():
    """Tolerance zero: the hardest null. 200 trials of 400 callers; bound alpha plus 3 standard errors."""
    rng, n = np.random.default_rng(1), 200
    policy = RolloutPolicy(metrics=tuple(m.model_copy(update={"tolerance": 0.0}) for m in METRICS))
    same = RATES | {"thumbs": 0.7}
    wrong = sum(Judge(policy).weigh(_stream(rng, 400, 0.3, same, same)).move is Move.ROLLBACK for _ in range(n))
    assert wrong / n <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)


@pytest.mark.slow
def test_a_candidate_at_the_edge_of_a_tolerance_is_promoted_by_at_most_alpha_of_trials():
    rng, n = np.random.default_rng(4), 200
    policy = RolloutPolicy(metrics=(Metric(name="error", tolerance=0.1),), min_units=1)
    edge, plain = {"error": 0.2}, {"error": 0.1}
    wrong = sum(Judge(policy).weigh(_stream(rng, 400, 0.5, edge, plain)).move is Move.PROMOTE for _ in range(n))
    assert wrong / n <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)


@pytest.mark.parametrize(
    ("metric", "value"), [("error", 0.5), ("abstained", 0.7), ("slow", 0.8), ("support", 0.3), ("thumbs", 0.05)]
)
@pytest.mark.slow
def test_a_candidate_that_is_bad_in_one_metric_is_rolled_back_for_that_metric(metric, value):
    good = RATES | {"thumbs": 0.9}
    stream = _stream(np.random.default_rng(2), 3000, 0.3, good | {metric: value}, good)
    decision = Judge(RolloutPolicy()).weigh(stream)
    assert decision.move is Move.ROLLBACK
    assert decision.why.startswith(f"{metric} is worse")


@pytest.mark.slow
def test_as_good_a_candidate_is_promoted_once_it_is_proven_to_be():
    judge = Judge(RolloutPolicy())
    assert judge.weigh(_stream(np.random.default_rng(3), 50, 0.5, RATES, RATES)).move is Move.WAIT
    policy_like = _stream(np.random.default_rng(3), 8000, 0.5, RATES, RATES)
    assert Judge(RolloutPolicy()).weigh(policy_like).move is Move.PROMOTE


def test_promotion_waits_for_units_and_for_every_required_metric():
    policy = RolloutPolicy(metrics=(Metric(name="error"), Metric(name="toxic")), min_units=500)
    clean = {"error": 0.0}
    few = Judge(policy).weigh(_stream(np.random.default_rng(1), 400, 0.5, clean, clean))
    assert (few.move, "of at least 500" in few.why) == (Move.WAIT, True)
    many = Judge(policy).weigh(_stream(np.random.default_rng(1), 3000, 0.5, clean, clean))
    assert (many.move, many.why.endswith("toxic")) == (Move.WAIT, True)


@pytest.mark.slow
def test_thumbs_given_more_often_to_one_arm_are_no_difference_as_long_as_they_cancel():
    """Bad answers are rated more often; with ups and downs in balance, silence being neutral, nothing is worse."""
    rng, n = np.random.default_rng(8), 200
    policy = RolloutPolicy(metrics=(Metric(name="thumbs", higher_is_better=True, tolerance=0.0, is_sparse=True),))
    wrong = 0
    for _ in range(n):
        stream = _stream(rng, 300, 0.5, {"thumbs": 0.5}, {"thumbs": 0.5}, rates_thumbs=(0.9, 0.1))
        wrong += Judge(policy).weigh(stream).move is Move.ROLLBACK
    assert wrong / n <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)


def test_one_angry_caller_counts_once():
    policy = RolloutPolicy(metrics=(Metric(name="thumbs", higher_is_better=True, is_sparse=True),))
    down = RolloutOutcome(name="s", trial=1, key="k", unit="u", arm="candidate", metrics={"thumbs": 0.0}, share=0.5)
    assert Judge(policy).weigh([down] * 500).move is Move.WAIT


@pytest.mark.slow
def test_callers_who_differ_raise_false_alarms_when_requests_are_counted_as_if_alike():
    """Why the unit is the caller: 20 requests each from 40 callers, some of whom always fail, for the same model twice."""
    rng, n = np.random.default_rng(6), 100
    counted = {"caller": 0, "request": 0}
    policy = RolloutPolicy(metrics=(Metric(name="error", tolerance=0.0),))
    for _ in range(n):
        outcomes = []
        for caller in range(40):
            arm = "candidate" if rng.random() < 0.5 else "incumbent"
            error = {"error": float(rng.random() < 0.5)}
            outcomes += [(caller, arm, error)] * 20
        for unit in counted:
            stream = [
                RolloutOutcome(
                    name="s", trial=1, key=str(i), unit=str(c if unit == "caller" else i), arm=a, metrics=e, share=0.5
                )
                for i, (c, a, e) in enumerate(outcomes)
            ]
            counted[unit] += Judge(policy).weigh(stream).move is Move.ROLLBACK
    assert counted["caller"] / n <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)
    assert counted["request"] / n > 0.2


def test_a_shadow_is_judged_on_pairs():
    def pairs(support: float):
        for n in range(400):
            metrics = {"error": 0.0, "abstained": 0.0, "slow": 0.0, "support": support}
            against = {"error": 0.0, "abstained": 0.0, "slow": 0.0, "support": 0.95}
            yield RolloutOutcome(
                name="s", trial=1, key=str(n), unit=str(n), arm="pair", metrics=metrics, against=against
            )

    assert Judge(RolloutPolicy()).weigh(pairs(0.4)).move is Move.ROLLBACK
    assert Judge(RolloutPolicy()).weigh(pairs(0.95)).move is Move.PROMOTE


@pytest.mark.slow
def test_readings_show_the_difference_with_an_interval_around_it():
    judge = Judge(RolloutPolicy())
    judge.weigh(_stream(np.random.default_rng(5), 1500, 0.5, RATES | {"support": 0.6}, RATES))
    support = {r.metric: r for r in judge.readings()}["support"]
    assert support.difference == pytest.approx(-0.3, abs=0.06)
    assert support.low <= -0.3 <= support.high < 0
    assert support.e_worse > 100


def test_the_routes_own_split_gives_the_share_that_the_weights_assume():
    """The propensity that the judge divides by is the one that the hash really has."""
    state = RolloutState(
        name="s", candidate=Candidate(release=Release(version="2"), stage=Stage.CANARY, share=0.25, trial=1)
    )
    n = sum(routed(state, f"caller-{n}", "").stage is Stage.CANARY for n in range(20_000))
    assert abs(n / 20_000 - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 20_000)
