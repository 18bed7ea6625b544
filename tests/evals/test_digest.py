import pytest

from evals.digest import digested, slices_of
from evals.scoring import Metric
from tests.evals.gated_rows import failed, row
from tests.evals.making import sample

METRICS = {"f1": Metric("f1"), "latency": Metric("latency", None, None, higher_is_better=False, unit="ms")}


def test_a_slice_has_its_own_mean_and_the_whole_run_one_too():
    samples = [sample(f"s{n}", metadata={"topic": "leave" if n < 2 else "pay"}) for n in range(4)]
    rows = [row(f"s{n}", {"f1": value}) for n, value in enumerate((1.0, 0.5, 0.0, 0.1))]
    found = {(one.slice, one.metric): one.summary for one in digested(rows, samples, METRICS).metrics}
    assert {name: found[name, "f1"].mean for name in ("", "topic=leave", "topic=pay")} == {
        "": pytest.approx(0.4),
        "topic=leave": 0.75,
        "topic=pay": pytest.approx(0.05),
    }
    assert ("", "latency") not in found, "it applied to no row"


def test_fields_that_name_single_samples_or_tell_nothing_apart_are_no_slices():
    samples = [
        sample(f"s{n}", metadata={"id": f"x{n}", "suite": "a", "hard": n == 0, "cluster": str(n % 2)}) for n in range(4)
    ]
    assert slices_of(samples)["s0"] == ("hard=true",)


def test_each_tag_of_a_list_is_a_slice_of_its_own():
    samples = [sample("a", metadata={"tags": ["x", "y"]}), sample("b", metadata={"tags": ["y"]}), sample("c")]
    assert slices_of(samples) == {"a": ("tags=x", "tags=y"), "b": ("tags=y",), "c": ()}


def test_values_stand_in_the_order_of_the_rows_and_failures_are_told_from_what_does_not_apply():
    rows = [row("a", {"f1": 1 / 3}), failed("b"), row("c", {}), row("d", {"f1": "it broke"})]
    values = digested(rows, [sample(name) for name in "abcd"], METRICS).values
    assert values.values == {"f1": (0.333333, None, None, None)}
    assert [case[0] for case in values.cases] == ["a", "b", "c", "d"]
    assert (values.failed, values.broken) == ((1,), (3,))


def test_what_is_kept_of_a_sample_holds_no_quote_of_a_document():
    asked = sample("a", "How long?", answer="Long.", citations=(("leave.md", "a secret quote"),))
    kept = digested([row("a", {"f1": 1.0})], [asked], METRICS).samples["a"]
    assert (kept.question, kept.answer) == ("How long?", "Long.")
    assert "secret" not in kept.model_dump_json()
