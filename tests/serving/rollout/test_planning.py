import math

import numpy as np
import pytest

from data.errors import InvalidInput
from serving.rollout.judge import Judge, Move
from serving.rollout.outcomes import RolloutOutcome
from serving.rollout.planning import TrialPlan, _units_until, fixed_size, plan_trial
from serving.rollout.policy import Metric, RolloutPolicy, Unit

WRONG = Metric(name="wrong", min_lift=0.0)
PLAN = TrialPlan(metric=WRONG, share=0.5, base=0.8, lift=0.12)


def outcomes(plan: TrialPlan, n: int, seed) -> list[RolloutOutcome]:
    rng = np.random.default_rng(seed)
    is_candidate = rng.random(n) < plan.share
    good = rng.random(n) < plan.base + plan.lift * is_candidate
    return [
        RolloutOutcome(
            name="m",
            trial=1,
            key=f"k{at}",
            unit=f"u{at}",
            arm="candidate" if mine else "incumbent",
            metrics={"wrong": float(not ok)},
            share=plan.share,
        )
        for at, (mine, ok) in enumerate(zip(is_candidate, good, strict=True))
    ]


def test_the_simulation_is_the_judges_own_test():
    policy = RolloutPolicy(metrics=(WRONG,), min_units=1, unit=Unit.REQUEST)
    for seed in ([0, 1], [0, 2], [0, 3]):
        expected = _units_until(PLAN, 2000, np.random.default_rng(seed))
        judge = Judge(policy)
        moved = math.inf
        for at, outcome in enumerate(outcomes(PLAN, 2000, seed), start=1):
            if judge.weigh([outcome]).move is Move.PROMOTE:
                moved = at
                break
        assert moved == expected


def test_the_stated_size_finds_the_lift_as_often_as_stated():
    size = plan_trial(PLAN, n_paths=120)
    again = [_units_until(PLAN, size.n_units, np.random.default_rng([9, path])) for path in range(150)]
    assert 0.7 <= np.isfinite(again).mean() <= 0.9
    assert size.n_median < size.n_units
    assert size.n_candidate == math.ceil(size.n_units / 2)


def test_a_test_that_is_looked_at_once_needs_what_the_textbook_says():
    plan = TrialPlan(metric=WRONG, share=0.5, base=0.5, lift=0.1, power=0.8, alpha=0.05)
    z = 1.6449 + 0.8416
    assert fixed_size(plan) == pytest.approx((0.24 + 0.25) * 2 * (z / 0.1) ** 2, rel=1e-3)
    assert plan_trial(PLAN, n_paths=60).n_fixed < plan_trial(PLAN, n_paths=60).n_units


def test_a_smaller_lift_needs_more_units():
    small = TrialPlan(metric=WRONG, share=0.5, base=0.8, lift=0.06)
    assert plan_trial(small, n_paths=40).n_units > plan_trial(PLAN, n_paths=40).n_units


@pytest.mark.parametrize(
    "wrong",
    [{"lift": 0.0}, {"lift": 0.3}, {"base": 1.0}, {"share": 1.0}, {"power": 0.2}],
)
def test_what_cannot_be_found_is_refused(wrong):
    with pytest.raises(InvalidInput):
        TrialPlan(**{"metric": WRONG, "share": 0.5, "base": 0.8, "lift": 0.1} | wrong)


def test_a_lift_that_no_size_finds_is_refused():
    hopeless = TrialPlan(metric=Metric(name="wrong", min_lift=0.05), share=0.5, base=0.8, lift=0.0501)
    with pytest.raises(InvalidInput, match="Even"):
        plan_trial(hopeless, n_paths=3)


def test_a_planned_trial_promotes_a_better_model_and_takes_back_one_that_is_only_as_good():
    policy = RolloutPolicy(metrics=(Metric(name="wrong", min_lift=0.02),), max_units=400, min_units=10)
    assert Judge(policy).weigh(outcomes(PLAN, 800, 5)).move is Move.PROMOTE
    same = TrialPlan(metric=WRONG, share=0.5, base=0.8, lift=1e-9)
    decision = Judge(policy).weigh(outcomes(same, 900, 5))
    assert decision.move is Move.ROLLBACK
    assert "undecided after the 400 units" in decision.why
    assert Judge(policy).weigh(outcomes(same, 300, 5)).move is Move.WAIT
