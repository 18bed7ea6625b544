import pytest

from data.records import Outcome
from evals.comparison import Comparison, Pair
from evals.gate_config import GateConfig, GateRules
from evals.scoring import Metric
from tests.evals.gated_rows import failed, row, samples

QUALITY = GateConfig(metric="quality", margin=0.1)


def compared(pairs, gates=(QUALITY,), metrics=None, rules=GateRules()):
    """`pairs` are (before, after) scores of `quality`, or rows; one cluster each."""
    asked = samples(len(pairs))
    found = Comparison(tuple(gates), metrics or {g.metric: Metric(g.metric) for g in gates}, rules, len(asked))
    for sample, arms in zip(asked, pairs, strict=True):
        rows = [a if hasattr(a, "scores") else row(sample.id, {"quality": a}, cluster=sample.id) for a in arms]
        found.add([Pair(sample, *((r.model_copy(update={"sample_id": sample.id}),) for r in rows))])
    return found


def reading(*args, **kwargs):
    (found,) = compared(*args, **kwargs).readings()
    return found


def test_a_candidate_that_loses_every_fifth_answer_fails():
    found = reading([(1.0, 0.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (1.0, 1.0)] * 12)
    assert found.outcome is Outcome.FAIL
    assert found.difference == pytest.approx(-0.2)
    assert found.high < 0
    assert found.p_worse < 0.05 < found.p_within


def test_an_unchanged_candidate_passes_where_there_are_samples_enough_and_else_is_inconclusive():
    assert reading([(1.0, 1.0), (0.0, 0.0)] * 30).outcome is Outcome.PASS
    assert reading([(1.0, 1.0), (0.0, 0.0)] * 10).outcome is Outcome.INCONCLUSIVE


def test_a_better_candidate_passes_and_never_fails():
    assert reading([(0.2, 0.9)] * 40).outcome is Outcome.PASS


def test_a_small_loss_everywhere_is_tolerated_up_to_half_the_margin():
    small, large = reading([(0.8, 0.79)] * 60), reading([(0.8, 0.74)] * 60)
    assert small.outcome is Outcome.PASS
    assert "a little worse" in small.why
    assert large.outcome is Outcome.FAIL


def test_losing_now_and_then_is_not_yet_a_proof():
    found = reading([(1.0, 0.0)] * 3 + [(1.0, 1.0)] * 57)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "neither" in found.why


def test_less_may_be_better():
    toxic = {"quality": Metric("quality", higher_is_better=False)}
    worse = reading([(0.0, 0.5)] * 30, metrics=toxic)
    assert worse.outcome is Outcome.FAIL
    assert worse.difference == pytest.approx(0.5)
    assert worse.sequence_low < 0.5 < worse.sequence_high
    assert reading([(0.5, 0.0)] * 30, metrics=toxic).outcome is Outcome.PASS


def test_milliseconds_are_judged_within_the_bounds_of_their_gate():
    gate = GateConfig(metric="quality", margin=200, bounds=(0, 2000))
    metrics = {"quality": Metric("quality", 0, 2000, higher_is_better=False, unit="ms")}
    found = reading([(300.0, 900.0), (400.0, 99_000.0)] * 20, (gate,), metrics)
    assert found.outcome is Outcome.FAIL
    assert found.difference == pytest.approx((600 + 1600) / 2)


@pytest.mark.parametrize(("mean", "outcome"), [(1.0, Outcome.PASS), (0.0, Outcome.FAIL), (None, Outcome.INCONCLUSIVE)])
def test_a_floor_holds_whatever_the_baseline_is(mean, outcome):
    gate = GateConfig(metric="quality", floor=0.5)
    values = [(0.0, mean)] * 30 if mean is not None else [(0.0, 0.0), (0.0, 1.0)] * 15
    assert reading(values, (gate,)).outcome is outcome


def test_a_metric_that_only_one_version_has_proves_nothing():
    """A candidate that abstains wherever it would be wrong looks good on what is left."""
    found = reading([(0.2, None)] * 20 + [(1.0, 1.0)] * 60)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert (found.n_unpaired, found.n_pairs) == (20, 60)
    assert "one arm only" in found.why


def test_a_metric_that_nothing_has_is_inconclusive():
    found = reading([(None, None)] * 5)
    assert (found.outcome, found.baseline, found.difference) == (Outcome.INCONCLUSIVE, None, None)


def test_errors_are_counted_and_never_scored():
    found = compared([(1.0, 1.0)] * 40 + [(1.0, failed("x"))] + [(1.0, "no JSON")])
    assert found.n_errors == 2
    assert found.conclusion == "pass"
    assert found.readings()[0].n_pairs == 40
    assert found.errors == ["s040, candidate: the server is away", "s041, candidate: quality: no JSON"]


def test_too_many_errors_end_it_whatever_the_scores_say():
    found = compared([(1.0, 0.0)] * 37 + [(1.0, failed("x"))] * 3)
    assert found.conclusion == "infrastructure"
    assert found.is_settled


def test_an_error_of_a_metric_that_no_gate_watches_is_no_error_of_the_gate():
    asked = samples(1)[0]
    rows = [(row(asked.id, {"quality": 1.0, "judge": "time-out"}),)] * 2
    found = Comparison((QUALITY,), {"quality": Metric("quality")}, GateRules(), 1)
    found.add([Pair(asked, *rows)])
    assert found.n_errors == 0


def test_repeats_count_as_their_mean():
    asked = samples(1)[0]
    before = tuple(row(asked.id, {"quality": v}, repeat=i) for i, v in enumerate((1.0, 0.0)))
    after = tuple(row(asked.id, {"quality": v}, repeat=i) for i, v in enumerate((1.0, 1.0)))
    assert Pair(asked, before, after).values("quality") == (0.5, 1.0)


def test_the_error_rate_is_shared_by_all_gates():
    """Seven losses out of seven prove it for one gate; beside nine others it needs more (Holm)."""
    one = reading([(1.0, 0.0)] * 7)
    gates = [QUALITY, *(GateConfig(metric=f"other{i}", margin=0.1) for i in range(9))]
    many = compared([(1.0, 0.0)] * 7, gates).readings()[0]
    assert (one.outcome, many.outcome) == (Outcome.FAIL, Outcome.INCONCLUSIVE)
    assert many.p_worse == pytest.approx(10 * one.p_worse)


def test_a_proven_loss_fails_also_where_many_samples_have_the_metric_in_one_arm_only():
    """A candidate that says nothing of half of the cases and is worse on the rest must not come off as undecided."""
    silent = row("s", {})
    found = reading([(1.0, 0.0), (1.0, silent)] * 40)
    assert found.n_unpaired == 40
    assert found.outcome is Outcome.FAIL


def test_above_the_floor_once_and_below_it_by_now_is_no_pass():
    """The money was won on good documents; the mean has since gone below."""
    above = GateConfig(metric="quality", floor=0.5)
    good, gone = [(1.0, 1.0)] * 12, [(0.0, 0.0)] * 14
    assert reading(good, gates=[above]).outcome is Outcome.PASS
    late = reading(good + gone, gates=[above])
    assert late.p_above < 0.05
    assert late.outcome is not Outcome.PASS
