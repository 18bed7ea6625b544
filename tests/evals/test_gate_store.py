from datetime import UTC, datetime, timedelta

import pytest

from data.errors import NotFound
from evals.conclusion import Conclusion
from evals.gate_report import Arm, CaseLoss, GateReport
from evals.gate_store import GateHistory, GateQuery
from tests.databases import new_database

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def report(suite="handbook", days=0, **fields) -> GateReport:
    return GateReport(
        suite=suite,
        conclusion=fields.pop("conclusion", Conclusion.INCONCLUSIVE),
        created_at=NOW - timedelta(days=days),
        baseline=Arm(ref="current", target="t"),
        candidate=Arm(ref="prompt:answer@2", target="t"),
        gates=(),
        alpha=0.05,
        n_samples=10,
        n_asked=10,
        n_errors=fields.pop("n_errors", 0),
        max_error_share=0.05,
        **fields,
    )


@pytest.fixture
def history(tmp_path):
    database = new_database(tmp_path / "x.db")
    yield GateHistory(database)
    database.close()


def test_verdicts_are_found_newest_first_by_suite_and_conclusion(history):
    kept = [history.keep(report(days=n, suite="ab"[n % 2])) for n in range(4)]
    broken = history.keep(report(suite="a", days=9, conclusion=Conclusion.INFRASTRUCTURE, n_errors=9))
    assert [line.id for line in history.lines(GateQuery(), 9)] == [*kept, broken]
    assert [line.id for line in history.lines(GateQuery("a"), 1, 1)] == [kept[2]]
    assert [line.id for line in history.lines(GateQuery(conclusion="infrastructure"), 9)] == [broken]
    assert (history.n(GateQuery("a")), history.suites()) == (3, ["a", "b"])
    assert [(line.suite, line.id) for line in history.newest()] == [("a", kept[0]), ("b", kept[1])]


def test_a_verdict_comes_back_whole_but_for_the_words_of_answers(history):
    case = CaseLoss(
        sample_id="s1",
        cluster="d",
        question="How long?",
        loss=0.5,
        scores={"f1": (1.0, 0.5)},
        before="Secret.",
        after="No.",
    )
    given = report(worst=(case,))
    found = history.get(history.keep(given))
    assert found.worst[0].question == "How long?"
    assert (found.worst[0].before, found.worst[0].after) == ("", "")
    assert found.model_copy(update={"worst": ()}) == given.model_copy(update={"worst": ()})


def test_an_unknown_verdict_is_named(history):
    with pytest.raises(NotFound, match="gate_nope"):
        history.get("gate_nope")
