import pytest

from data.errors import InvalidInput
from data.records import EvalRow, Observation, Score
from evals.scoring import Metric
from evals.summary import as_json, errors, metric_named, metrics_in, selective, summarised, worst
from tests.evals.making import abstained, answered

F1 = Metric("f1")
MS = Metric("ms", high=None, higher_is_better=False)


def row(identity, *scores, seen=None, cluster=""):
    given = tuple(
        Score(scorer=name, value=v) if not isinstance(v, str) else Score(scorer=name, value=None, error=v)
        for name, v in scores
    )
    return EvalRow(
        run_id="r",
        sample_id=identity,
        cluster=cluster or identity,
        input_sha256="0",
        observation=seen or answered("x"),
        scores=given,
    )


def test_errors_are_counted_and_never_in_the_mean():
    rows = [row("a", ("f1", 1.0)), row("b", ("f1", 0.5)), row("c", ("f1", "time-out"))]
    found = summarised(rows, {"f1": F1})["f1"]
    assert (found.mean, found.n, found.n_errors) == (0.75, 2, 1)


def test_a_metric_without_a_value_has_no_mean():
    found = summarised([row("a", ("f1", "down"))], {"f1": F1})["f1"]
    assert (found.mean, found.low, found.high, found.n, found.n_errors) == (None, None, None, 0, 1)


def test_samples_of_one_document_widen_the_interval():
    values = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    alone = summarised([row(f"{n}", ("f1", v)) for n, v in enumerate(values)], {"f1": F1})["f1"]
    together = summarised([row(f"{n}", ("f1", v), cluster=f"d{v}{n > 5}") for n, v in enumerate(values)], {"f1": F1})[
        "f1"
    ]
    assert together.mean == alone.mean
    assert together.high - together.low > alone.high - alone.low


def test_an_interval_ends_where_no_mean_can_lie():
    rows = [row(f"{n}", ("f1", float(n > 0)), ("ms", float(n == 0))) for n in range(5)]
    found = summarised(rows, {"f1": F1, "ms": MS})
    assert (found["f1"].high, found["ms"].low) == (1.0, 0.0)
    assert found["ms"].high > found["ms"].mean


def test_nothing_in_ten_documents_leaves_room_for_a_quarter_of_them():
    """The exact one-sided bound: 1 - .05 ** (1/10)."""
    never = summarised([row(f"{n}", ("f1", 0.0)) for n in range(10)], {"f1": F1})["f1"]
    assert (never.mean, never.low) == (0.0, 0.0)
    assert never.high == pytest.approx(0.2589, abs=1e-4)
    always = summarised([row(f"{n}", ("f1", 1.0)) for n in range(10)], {"f1": F1})["f1"]
    assert (always.low, always.high) == (pytest.approx(0.7411, abs=1e-4), 1.0)
    unbounded = summarised([row(f"{n}", ("ms", 3.0)) for n in range(10)], {"ms": MS})["ms"]
    assert (unbounded.low, unbounded.high) == (pytest.approx(3 * 0.7411, abs=1e-3), 3.0)


def test_the_worst_come_first_whichever_end_is_bad():
    rows = [row("a", ("f1", 0.9), ("ms", 5.0)), row("b", ("f1", 0.1), ("ms", 9.0)), row("c", ("f1", "down"))]
    assert [r.sample_id for r, _ in worst(rows, F1)] == ["b", "a"]
    assert [r.sample_id for r, _ in worst(rows, MS, 1)] == ["b"]


def test_errors_are_listed_once_a_row_for_a_failed_target_and_by_metric_for_a_scorer():
    failed = row("a", ("f1", "time-out"), ("ms", "time-out"), seen=Observation(error="time-out"))
    assert errors([failed, failed, row("b", ("f1", "unparsable"))]) == {"time-out": 2, "f1: unparsable": 1}


def judged(identity, confidence, recall, answerable=True):
    seen = answered("x", confidence=confidence)
    scores = [("abstention_correct", float(answerable))]
    return row(identity, *scores, *([("citation_recall", recall)] if answerable else []), seen=seen)


def test_the_curve_counts_wrong_answers_and_answers_to_unanswerable_samples():
    rows = [
        judged("a", 0.9, 1.0),
        judged("b", 0.8, 0.0),
        judged("c", 0.7, 0.5),
        judged("d", 0.6, 0.0, answerable=False),
        row("e", ("abstention_correct", 1.0), seen=abstained(confidence=0.1)),
    ]
    found = selective(rows)
    assert found.curve == ((0.9, 0.2, 0.0), (0.8, 0.4, 0.5), (0.7, 0.6, 0.3333), (0.6, 0.8, 0.5))
    assert (found.coverage, found.risk, found.correct_by) == (0.8, 0.5, "citation_recall")
    assert found.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4, abs=1e-4)
    assert found.threshold is None, "four answers can promise nothing"


def test_many_right_answers_calibrate_a_threshold():
    found = selective([judged(f"{n}", n / 100, float(n >= 20)) for n in range(100)])
    assert found.threshold is not None
    assert found.threshold_bound <= found.wanted_risk
    assert found.threshold_coverage > 0.7


def test_without_confidence_there_is_no_curve():
    assert selective([judged("a", None, 1.0)]) is None
    assert selective([row("a", ("ms", 1.0))]) is None


def test_a_stored_run_may_have_metrics_whose_scorer_is_gone():
    metrics = metrics_in([row("a", ("f1", 1.0), ("lost", 2.0))], {"f1": F1})
    assert metrics["lost"].high is None
    with pytest.raises(InvalidInput, match=r"no metric 'f2'.*f1, lost"):
        metric_named(metrics, "f2")


def test_json_holds_numbers_or_null():
    facts = as_json([row("a", ("f1", "down"))], {"f1": F1})
    assert facts["metrics"]["f1"]["mean"] is None
    assert facts["errors"] == {"f1: down": 1}
