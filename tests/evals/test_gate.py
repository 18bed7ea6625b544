import numpy as np
import pytest

from data.errors import InfrastructureError
from evals.conclusion import Conclusion
from evals.gate import GatePlan, Side, compared, run_gate, shuffled
from evals.gate_config import GateConfig, GateRules
from evals.runner import Target, iter_rows
from evals.scoring import Metric
from tests.evals.gated_rows import failed, plan_of, row, samples, side

GOOD, BAD = {"quality": 1.0}, {"quality": 0.0}


def test_power_is_told_before_anything_is_asked():
    asked, told = [], []

    def foresee(power):
        assert not asked
        told.extend(power)

    run_gate(plan_of([GOOD] * 60, [GOOD] * 60, asked=asked), foresee)
    (power,) = told
    assert asked
    assert (power.n_samples, power.n_clusters, power.chance_to_pass) == (60, 60, 1.0)
    assert 0.05 < power.detectable < 0.2
    assert "no earlier run" in power.assumes


def test_a_pilot_says_what_the_scores_are_and_how_much_they_move():
    pilot = [row(f"s{i:03}", {"quality": float((i + r) % 2)}, repeat=r) for i in range(60) for r in (0, 1)]
    known = run_gate(plan_of([GOOD] * 60, [GOOD] * 60, pilot=tuple(pilot))).power[0]
    blind = run_gate(plan_of([GOOD] * 60, [GOOD] * 60)).power[0]
    assert "60 earlier rows" in known.assumes
    assert "between their repeats" in known.assumes
    assert known.detectable is None or known.detectable > blind.detectable


@pytest.mark.slow
def test_asking_stops_when_the_verdict_is_settled_and_goes_on_when_told_to():
    asked = []
    found = run_gate(plan_of([GOOD] * 60, [BAD] * 60, asked=asked))
    assert found.conclusion is Conclusion.FAIL
    assert found.n_asked == len(asked) < 12
    assert found.is_stopped_early
    whole = run_gate(plan_of([GOOD] * 60, [BAD] * 60, asks_all=True))
    assert (whole.conclusion, whole.n_asked) == (Conclusion.FAIL, 60)


def test_stopping_stops_the_spending():
    answered = []

    def answer(sample):
        answered.append(sample.id)
        return row(sample.id, {}).observation

    plan = plan_of([GOOD] * 60, [BAD] * 60)
    live = Side("live", "live", lambda order: iter_rows(Target("live", answer), [Wrong()], order, concurrency=2))
    found = run_gate(GatePlan(**{**vars(plan), "candidate": live}))
    assert found.n_asked <= len(answered) <= found.n_asked + 2


class Wrong:
    id = "wrong"
    metrics = (Metric("quality"),)

    def score(self, sample, observation):
        return row(sample.id, BAD).scores


@pytest.mark.slow
def test_a_pass_does_not_stop_it_where_smaller_losses_are_looked_for():
    coarse = run_gate(plan_of([GOOD] * 80, [GOOD] * 80))
    fine = run_gate(plan_of([GOOD] * 80, [GOOD] * 80, [GateConfig(metric="quality", margin=0.1, tolerance=0.01)]))
    assert (coarse.conclusion, fine.conclusion) == (Conclusion.PASS, Conclusion.PASS)
    assert coarse.n_asked < fine.n_asked == 80


def test_clusters_come_whole_in_an_order_that_the_seed_decides():
    asked = samples(40, per_cluster=4)
    first, again, other = (shuffled(asked, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(s.id for cluster in first for s in cluster) == [s.id for s in asked]
    assert all(len({s.metadata["cluster"] for s in cluster}) == 1 for cluster in first)


@pytest.mark.slow
def test_ten_worst_cases_come_first_and_cases_that_did_not_lose_never():
    after = [{"quality": 1 - i / 100} for i in range(60)]
    found = run_gate(plan_of([GOOD] * 60, after, asks_all=True))
    assert len(found.worst) == 10
    assert (found.worst[0].sample_id, found.worst[0].loss) == ("s059", pytest.approx(0.59))
    assert run_gate(plan_of([GOOD] * 20, [GOOD] * 20)).worst == ()


def test_errors_of_one_side_end_in_infrastructure_and_are_told():
    found = run_gate(plan_of([GOOD] * 40, [GOOD] * 36 + [failed("x")] * 4))
    assert found.conclusion is Conclusion.INFRASTRUCTURE
    assert any("the server is away" in told for told in found.errors)
    assert found.candidate.n_failed == found.n_errors > 0


def test_one_error_early_on_delays_the_verdict_and_does_not_become_it():
    """Seed 0 asks some sample first; with it failed, eleven others must be answered before five percent holds."""
    order = [cluster[0].id for cluster in shuffled(samples(60), 0)]
    after = [failed("x") if s.id == order[0] else BAD for s in samples(60)]
    found = run_gate(plan_of([GOOD] * 60, after))
    assert found.conclusion is Conclusion.FAIL
    assert found.n_asked == 20


def test_a_side_that_leaves_samples_out_is_refused():
    plan = plan_of([GOOD] * 10, [GOOD] * 10)
    short = side("short", {s.id: [] for s in plan.samples})
    with pytest.raises(InfrastructureError, match="0 of 1 rows"):
        run_gate(GatePlan(**{**vars(plan), "candidate": short}))


@pytest.mark.slow
def test_repeats_tell_the_judge_from_the_generator():
    asked, rng = samples(30), np.random.default_rng(0)
    judged, generated = {}, {}
    for sample in asked:
        noise = rng.normal(0, 0.1, 3)
        judged[sample.id] = [row(sample.id, {"quality": 0.5 + n}, repeat=r, text="same") for r, n in enumerate(noise)]
        generated[sample.id] = [
            row(sample.id, {"quality": 0.5 + n}, repeat=r, text=f"t{r}") for r, n in enumerate(noise)
        ]
    plan = plan_of([GOOD] * 30, [GOOD] * 30, asks_all=True)
    for rows, known, unknown in ((judged, "judge", "generator"), (generated, "generator", "judge")):
        both = {"baseline": side("a", rows, 3), "candidate": side("b", rows, 3)}
        (variance,) = run_gate(GatePlan(**{**vars(plan), **both})).variance
        assert getattr(variance, known) == pytest.approx(0.01, rel=0.5)
        assert getattr(variance, unknown) is None
    assert run_gate(plan).variance == ()


@pytest.mark.slow
def test_a_version_against_itself_fails_in_at_most_five_percent_of_runs_with_three_gates():
    gates = [GateConfig(metric=name, margin=0.1) for name in ("a", "b", "c")]
    rng, runs, told = np.random.default_rng(1), 150, []
    for seed in range(runs):
        arms = [
            [{n: float(v) for n, v in zip("abc", rng.random(3) < 0.8, strict=True)} for _ in range(60)] for _ in "xy"
        ]
        plan = plan_of(*arms, gates, per_cluster=2, rules=GateRules(seed=seed))
        told.append(compared(plan).conclusion)
    assert told.count(Conclusion.FAIL) / runs <= 0.05
