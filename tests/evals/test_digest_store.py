from datetime import UTC, datetime, timedelta

import pytest

from data.errors import NotFound
from data.records import EvalRun
from evals.digest import digested
from evals.digest_store import RunHistory, RunQuery
from evals.scoring import Metric
from evals.store import EvalStore
from tests.databases import new_database
from tests.evals.gated_rows import row
from tests.evals.making import sample

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
METRICS = {"f1": Metric("f1"), "speed": Metric("speed", higher_is_better=False)}
SAMPLES = [sample(f"s{n}", f"Question {n}?", metadata={"topic": "ab"[n % 2]}) for n in range(4)]


@pytest.fixture
def database(tmp_path):
    opened = new_database(tmp_path / "x.db")
    yield opened
    opened.close()


@pytest.fixture
def history(database):
    return RunHistory(database)


@pytest.fixture
def end(database):
    """Run a suite to its end: `end("run_1", 0.5, days=3, suite="tiny", ref="")`."""

    def ended(identity: str, value: float, *, days: float = 0, suite: str = "tiny", ref: str = "", **spent) -> None:
        store, config = EvalStore(database), {"ref": ref} if ref else {}
        run = EvalRun(id=identity, suite=suite, created_at=NOW - timedelta(days=days), target="t", config=config)
        rows = [
            row(s.id, {"f1": value + n / 10}).model_copy(update={"run_id": identity}) for n, s in enumerate(SAMPLES)
        ]
        store.begin(run, "")
        for one in rows:
            store.append(one)
        cost = {"n_rows": 4, "prompt_tokens": 100, **spent}
        store.finish(run.model_copy(update={"status": "complete"}), cost, digested(rows, SAMPLES, METRICS))

    return ended


def test_a_run_is_read_back_in_numbers_without_its_rows(history, end, database):
    end("run_1", 0.2)
    with database.append() as connection:
        connection.exec_driver_sql("delete from eval_rows")
    (only,) = history.metrics("run_1")
    assert (only.metric, only.summary.mean, only.summary.n) == ("f1", pytest.approx(0.35), 4)
    assert [one.slice for one in history.metrics("run_1", "topic")] == ["topic=a", "topic=b"]
    assert history.values("run_1").values == {"f1": (0.2, 0.3, 0.4, 0.5)}
    assert history.samples("run_1", ["s2", "nope"])["s2"].question == "Question 2?"
    assert history.slices("run_1") == ["topic=a", "topic=b"]


def test_runs_come_newest_first_in_pages_with_the_mean_that_was_asked_for(history, end):
    for n in range(5):
        end(f"run_{n}", n / 10, days=5 - n)
    query = RunQuery("tiny", metric="f1", slice="topic=b")
    assert [line.id for line in history.runs(query, 2)] == ["run_4", "run_3"]
    assert [line.id for line in history.runs(query, 2, 2)] == ["run_2", "run_1"]
    assert history.runs(query, 1)[0].summary.mean == pytest.approx(0.6)
    assert history.n_runs(query) == 5
    assert history.runs(RunQuery("other"), 9) == []


def test_the_gates_runs_are_told_from_a_suites_own(history, end):
    end("run_own", 0.2, days=2)
    end("run_gate", 0.9, days=1, ref="prompt:answer@2")
    assert history.newest("tiny") == "run_own"
    assert [p.run_id for p in history.trend("tiny", "f1")] == ["run_own"]
    assert [p.run_id for p in history.trend("tiny", "f1", with_gate=True)] == ["run_own", "run_gate"]
    assert [line.id for line in history.runs(RunQuery(with_gate=False), 9)] == ["run_own"]
    assert history.n_runs(RunQuery(with_gate=False)) == 1
    assert history.before("run_gate") is None
    assert [list(run.means) for run in history.recent(["tiny"], 9)["tiny"]] == [["f1"]]


def test_a_trend_holds_the_newest_runs_oldest_first(history, end):
    for n in range(4):
        end(f"run_{n}", n / 10, days=9 - n)
    assert [p.run_id for p in history.trend("tiny", "f1", limit=2)] == ["run_2", "run_3"]
    assert history.before("run_2") == "run_1"
    assert history.before("run_0") is None
    recent = history.recent(["tiny", "none"], 2)
    assert [run.line.id for run in recent["tiny"]] == ["run_3", "run_2"]
    assert recent["tiny"][0].means["f1"].mean == pytest.approx(0.45)
    assert recent["none"] == []


def test_a_run_under_way_is_listed_and_its_values_come_from_its_rows(history, database):
    store = EvalStore(database)
    store.begin(EvalRun(id="run_1", suite="tiny", created_at=NOW, target="t"), "")
    store.append(row("s1", {"f1": 0.5}).model_copy(update={"run_id": "run_1"}))
    assert (history.line("run_1").status, history.line("run_1").n_rows) == ("running", 0)
    assert history.values("run_1").values == {"f1": (0.5,)}
    assert history.metrics("run_1") == []
    assert history.newest("tiny") is None


def test_a_run_that_ends_twice_is_kept_once(history, end, database):
    end("run_1", 0.2)
    run = history.run("run_1")
    rows = [row("s1", {"f1": 1.0})]
    EvalStore(database).finish(run, {"n_rows": 1}, digested(rows, SAMPLES[1:2], METRICS))
    assert history.metrics("run_1")[0].summary.mean == 1.0
    assert history.line("run_1").n_rows == 1


def test_costs_add_up_by_day_and_suite(history, end):
    end("run_1", 0.2, days=1, seconds=2.0)
    end("run_2", 0.2, days=1.1, seconds=3.0)
    end("run_3", 0.2, days=1, suite="other")
    end("run_4", 0.2, days=40)
    found = history.spent(NOW - timedelta(days=7))
    assert [(s.day, s.suite, s.n_runs, s.seconds, s.prompt_tokens) for s in found] == [
        ("2026-02-28", "other", 1, 0.0, 100),
        ("2026-02-28", "tiny", 2, 5.0, 200),
    ]


def test_what_is_not_there_is_named(history):
    for ask in (lambda: history.run("nope"), lambda: history.line("nope"), lambda: history.row("nope", "s")):
        with pytest.raises(NotFound, match="nope"):
            ask()
