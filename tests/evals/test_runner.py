import json
import threading
import time
from itertools import islice

import pytest

from data.records import EvalRow, Observation
from evals.runner import DictCache, Plan, Target, cluster_of, iter_rows, run_suite, target_of
from evals.suite import parse_suite
from tests.evals.making import Measure, abstained, answered, length, sample

SAMPLES = [sample(f"s{n}", f"Question {n}?") for n in range(6)]
SUITE = parse_suite(
    {
        "name": "tiny",
        "dataset": {"path": "tiny.jsonl"},
        "target": {"kind": "search"},
        "scorers": ["usage"],
        "concurrency": 1,
    }
)


class Echo:
    """Answers with the question; remembers what it was asked."""

    def __init__(self, digest: str = "echo@1", fails=lambda sample: "", delay_s=lambda sample: 0.0) -> None:
        self.asked: list[str] = []
        self.target = Target("echo", self._answer, digest)
        self._fails, self._delay_s = fails, delay_s

    def _answer(self, one):
        self.asked.append(one.id)
        time.sleep(self._delay_s(one))
        if problem := self._fails(one):
            return Observation(error=problem)
        return answered(one.question)


class Kept:
    """A `RunStore` in memory that goes through JSON, as the database does."""

    def __init__(self) -> None:
        self.runs, self.bodies, self.summaries = {}, {}, {}

    def resumable(self, fingerprint):
        return next((r for r, f in self.runs.values() if f == fingerprint and r.status == "running"), None)

    def begin(self, run, fingerprint):
        self.runs[run.id] = (run, fingerprint)

    def append(self, row):
        self.bodies[row.run_id, row.sample_id, row.repeat] = row.model_dump_json()

    def rows(self, run_id):
        return [EvalRow.model_validate_json(body) for key, body in self.bodies.items() if key[0] == run_id]

    def finish(self, run, summary, digest=None):
        self.runs[run.id] = (run, self.runs[run.id][1])
        self.summaries[run.id] = summary


def plan(target, scorers=(), **fields):
    return Plan(suite=SUITE, target=target, scorers=scorers or [Measure(length)], samples=SAMPLES, **fields)


def rows_of(target, scorers, samples=SAMPLES, **options):
    return list(iter_rows(target, scorers, samples, **options))


def test_rows_come_in_the_order_of_the_samples_whatever_finishes_first():
    slow_first = Echo(delay_s=lambda s: 0.05 if s.id == "s0" else 0.0)
    rows = rows_of(slow_first.target, [Measure(length)], repeats=2, concurrency=4)
    assert [(row.sample_id, row.repeat) for row in rows] == [(s.id, r) for s in SAMPLES for r in (0, 1)]


def test_cases_run_at_the_same_time_up_to_the_concurrency():
    both = threading.Barrier(2, timeout=5)  # breaks unless two cases are under way at once
    target = target_of(lambda s: str(both.wait() >= 0))
    assert not any(row.observation.error for row in rows_of(target, [], SAMPLES, concurrency=2))


def test_who_stops_reading_stops_the_spending():
    echo = Echo()
    rows = iter_rows(echo.target, [], SAMPLES, concurrency=2)
    assert [row.sample_id for row in islice(rows, 2)] == ["s0", "s1"]
    rows.close()
    assert len(echo.asked) <= 3, "at most one more than was read is under way with a concurrency of two"


def test_a_failed_target_gives_every_metric_an_error_and_no_value_and_no_scorer_sees_it():
    measure = Measure(length)
    row = rows_of(Echo(fails=lambda s: "time-out").target, [measure], SAMPLES[:1])[0]
    assert [(s.scorer, s.value, s.error) for s in row.scores] == [("length", None, "time-out")]
    assert measure.n_asked == 0


def test_a_callable_that_raises_costs_its_own_sample_only():
    def call(one):
        if one.id == "s1":
            raise ConnectionError("the line is dead")
        return "fine"

    rows = rows_of(target_of(call), [Measure(length)], SAMPLES[:3])
    assert [row.observation.error for row in rows] == ["", "ConnectionError: the line is dead", ""]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "no number"),
        (float("inf"), "no number"),
        (1.5, "outside"),
        (-0.1, "outside"),
        (None, "no number"),
    ],
)
def test_a_value_that_is_no_number_or_out_of_range_is_an_error_and_never_a_score(value, told):
    row = rows_of(Echo().target, [Measure(lambda s, o: value, high=1.0)], SAMPLES[:1])[0]
    assert row.scores[0].value is None
    assert told in row.scores[0].error


def test_a_scorer_that_breaks_is_an_error_of_its_own_metrics():
    def broken(one, seen):
        raise json.JSONDecodeError("unparsable reply", "", 0)

    row = rows_of(Echo().target, [Measure(broken, "judge", "judge@1"), Measure(length)], SAMPLES[:1])[0]
    judge, fine = row.scores
    assert "unparsable reply" in judge.error
    assert judge.value is None
    assert fine.value == len("Question 0?")


def test_unchanged_cases_cost_nothing():
    echo, measure, cache = Echo(), Measure(length), DictCache()
    first = rows_of(echo.target, [measure], cache=cache)
    second = rows_of(echo.target, [measure], cache=cache)
    assert (len(echo.asked), measure.n_asked) == (6, 6)
    assert [row.is_cached for row in first + second] == [False] * 6 + [True] * 6
    assert [row.scores for row in first] == [row.scores for row in second]


def test_only_the_cases_whose_inputs_changed_are_asked_again():
    cache = DictCache()
    prompts = {s.id: "v1" for s in SAMPLES}
    echo = Echo()
    target = Target("echo", echo.target.answer, "v1", lambda s: prompts[s.id])
    rows_of(target, [], cache=cache)
    echo.asked.clear()
    prompts |= {"s1": "v2", "s4": "v2"}
    rows = rows_of(Target("echo", echo.target.answer, "v2", lambda s: prompts[s.id]), [], cache=cache)
    assert echo.asked == ["s1", "s4"]
    assert [row.is_cached for row in rows] == [True, False, True, True, False, True]


def test_another_scorer_scores_the_cached_answers_and_asks_none():
    echo, cache = Echo(), DictCache()
    rows_of(echo.target, [Measure(length)], cache=cache)
    halved = Measure(lambda s, o: length(s, o) / 2, id="length@2")
    rows = rows_of(echo.target, [halved], cache=cache)
    assert len(echo.asked) == 6
    assert halved.n_asked == 6
    assert rows[0].scores[0].value == len("Question 0?") / 2


def test_fresh_runs_and_repeats_never_read_the_cache():
    echo, cache = Echo(), DictCache()
    rows_of(echo.target, [], cache=cache)
    assert not any(row.is_cached for row in rows_of(echo.target, [], cache=cache, fresh=True))
    again = rows_of(echo.target, [], cache=cache, repeats=3)
    assert [row.is_cached for row in again] == [True, False, False] * 6
    assert len(echo.asked) == 6 + 6 + 12


def test_errors_are_never_cached():
    cache, trouble = DictCache(), ["down"]
    echo = Echo(fails=lambda s: trouble[0] if trouble else "")
    rows_of(echo.target, [], SAMPLES[:1], cache=cache)
    trouble.clear()
    row = rows_of(echo.target, [], SAMPLES[:1], cache=cache)[0]
    assert not row.observation.error
    assert not row.is_cached


def test_a_target_that_nobody_can_tell_from_another_is_not_cached():
    echo, cache = Echo(digest=""), DictCache()
    rows_of(echo.target, [], cache=cache)
    rows_of(echo.target, [], cache=cache)
    assert len(echo.asked) == 12
    assert not cache.bodies


def test_a_digest_that_cannot_be_told_is_that_samples_error():
    def decides(one):
        raise KeyError("no such index")

    row = rows_of(Target("t", lambda s: abstained(), "t", decides), [Measure(length)], SAMPLES[:1])[0]
    assert "no such index" in row.observation.error
    assert row.scores[0].value is None


class Killed(BaseException):
    """As a signal ends a run: no handler of ours catches it."""


def test_a_run_that_was_killed_goes_on_where_it_stopped():
    store, echo = Kept(), Echo()
    done = []

    def die_after_three(row):
        done.append(row)
        if len(done) == 3:
            raise Killed

    with pytest.raises(Killed):
        run_suite(plan(echo.target), store, report=die_after_three, concurrency=1)
    run = run_suite(plan(echo.target), store, concurrency=1)
    assert run.status == "complete"
    assert list(store.runs) == [run.id], "it is the same run"
    assert [row.sample_id for row in store.rows(run.id)] == [s.id for s in SAMPLES]
    assert echo.asked == [s.id for s in SAMPLES], "no sample was asked twice"
    assert store.summaries[run.id]["n_resumed"] == 3


def test_a_resumed_run_asks_again_what_had_failed():
    store, trouble = Kept(), ["down"]
    echo = Echo(fails=lambda s: trouble[0] if trouble and s.id == "s0" else "")

    def die(row):
        raise Killed

    with pytest.raises(Killed):
        run_suite(plan(echo.target), store, report=die, concurrency=1)
    trouble.clear()
    run = run_suite(plan(echo.target), store, concurrency=1)
    assert not any(row.observation.error for row in store.rows(run.id))
    assert len(store.rows(run.id)) == 6


@pytest.mark.parametrize("other", [{"fresh": True}, {"repeats": 2}, {"scorers": [Measure(length, id="length@2")]}])
def test_another_plan_never_continues_a_run(other):
    store, echo = Kept(), Echo()

    def die(row):
        raise Killed

    with pytest.raises(Killed):
        run_suite(plan(echo.target), store, report=die, concurrency=1)
    run_suite(plan(echo.target, **other), store, concurrency=1)
    assert len(store.runs) == 2


def test_a_run_in_which_everything_failed_is_failed():
    store = Kept()
    assert run_suite(plan(Echo(fails=lambda s: "down").target), store).status == "failed"


def test_samples_of_one_document_share_a_cluster():
    a = sample("a", citations=(("leave.md", "x"), ("tea.md", "y")))
    b = sample("b", citations=(("leave.md", "z"),))
    c = sample("c", citations=(("leave.md", "z"),), metadata={"cluster": "mine"})
    assert (cluster_of(a), cluster_of(b), cluster_of(c)) == ("leave.md", "leave.md", "mine")
    assert cluster_of(sample("alone")) == "alone"
