import pytest

from data.errors import InvalidInput
from data.records import Outcome
from evals.comparison import Comparison, Pair
from evals.gate_config import GateConfig, GateRules
from evals.human_labels import corrected_readings, load_labels
from evals.scoring import Metric
from tests.evals.gated_rows import row, samples

METRICS = {"quality": Metric("quality")}


def compared(arms, **gate):
    asked = samples(len(arms))
    found = Comparison((GateConfig(metric="quality", margin=0.1, **gate),), METRICS, GateRules(), len(asked))
    for sample, (before, after) in zip(asked, arms, strict=True):
        rows = [(row(sample.id, {"quality": v}, cluster=sample.id),) for v in (before, after)]
        found.add([Pair(sample, *rows)])
    return found


def labelled(values):
    """(before, after) as people see the first samples."""
    return {
        (f"s{i:03}", arm, "quality"): value
        for i, pair in enumerate(values)
        for arm, value in zip(("baseline", "candidate"), pair, strict=True)
    }


def corrected(arms, labels, **gate):
    found = compared(arms, **gate)
    (reading,) = corrected_readings(found.readings(), found.pairs, METRICS, labels, alpha=0.05)
    return reading


def test_people_who_agree_with_the_judge_leave_the_verdict_and_show_their_interval():
    arms = [(1.0, 0.0), (1.0, 1.0)] * 30
    found = corrected(arms, labelled(arms[:20]))
    assert found.outcome is Outcome.FAIL
    assert found.corrected.n_labels == 20
    assert found.corrected.low < -0.5 < found.corrected.high < 0
    assert found.corrected.weight > 0.5


def test_a_judge_that_people_contradict_proves_nothing():
    """It says that half of the answers got worse; people see no difference."""
    found = corrected([(1.0, 0.0), (1.0, 1.0)] * 30, labelled([(1.0, 1.0)] * 20))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "labels allow that nothing got worse" in found.why


def test_a_pass_needs_labels_that_bear_it_out():
    """The judge sees no difference; people see that every other answer is lost."""
    found = corrected([(1.0, 1.0)] * 60, labelled([(1.0, 0.0), (1.0, 1.0)] * 10))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "the labels allow a loss" in found.why


def test_without_labels_nothing_changes():
    found = corrected([(1.0, 1.0)] * 60, {})
    assert (found.outcome, found.corrected) == (Outcome.PASS, None)


def test_a_file_of_labels_is_read_and_its_wrong_lines_are_all_named(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"sample": "s1", "arm": "baseline", "metric": "quality", "value": 1}\n\n')
    assert load_labels(path) == {("s1", "baseline", "quality"): 1.0}
    path.write_text('{"sample": "s1", "arm": "left", "metric": "q", "value": 1}\n{"sample": 3}\nnot json\n')
    with pytest.raises(InvalidInput) as caught:
        load_labels(path)
    assert all(f"line {n}" in str(caught.value) for n in (1, 2, 3))
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_labels(tmp_path / "absent.jsonl")


def test_labels_of_differences_do_not_excuse_what_failed_for_its_floor():
    found = corrected([(1.0, 0.0), (1.0, 1.0)] * 30, labelled([(1.0, 1.0)] * 20), floor=0.9)
    assert found.p_below <= 0.05
    assert found.outcome is Outcome.FAIL
    assert "floor" in found.why
