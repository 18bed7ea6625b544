from datetime import UTC, datetime, timedelta

import pytest

from data.errors import NotFound
from data.records import EvalRow, EvalRun, Score
from evals.store import EvalStore
from tests.databases import new_database
from tests.evals.making import answered, citation, hit


@pytest.fixture
def store(tmp_path):
    database = new_database(tmp_path / "x.db")
    yield EvalStore(database)
    database.close()


def run(identity, age=timedelta(0), **fields):
    made = datetime.now(UTC) - age
    return EvalRun(id=identity, suite="tiny", created_at=made, target="echo", **fields)


def row(run_id, sample_id="s1", text="Leave is long.", repeat=0):
    found = hit(text)
    seen = answered((text, [citation(found, text)]), hits=(found,))
    scores = (Score(scorer="f1", value=0.25, detail={"said": text}),)
    return EvalRow(run_id=run_id, sample_id=sample_id, repeat=repeat, input_sha256="0", observation=seen, scores=scores)


def test_rows_come_back_as_they_were_in_their_order(store):
    store.begin(run("run_1"), "f")
    kept = [row("run_1", "b"), row("run_1", "a"), row("run_1", "a", repeat=1)]
    for one in kept:
        store.append(one)
    assert store.rows("run_1") == kept


def test_a_row_of_the_same_sample_and_repeat_replaces_the_earlier_one(store):
    store.begin(run("run_1"), "f")
    store.append(row("run_1", text="Before."))
    store.append(row("run_1", text="After."))
    assert [r.observation.answer.text for r in store.rows("run_1")] == ["After."]


def test_only_a_recent_run_of_the_same_plan_that_was_cut_short_can_be_continued(store):
    store.begin(run("run_old", timedelta(days=2)), "f")
    store.begin(run("run_done"), "f")
    store.finish(run("run_done", status="complete"), {})
    store.begin(run("run_other"), "g")
    assert store.resumable("f") is None
    store.begin(run("run_cut", timedelta(hours=1)), "f")
    assert store.resumable("f").id == "run_cut"


def test_a_run_is_found_by_id_by_its_beginning_and_by_suite(store):
    for n, age in enumerate((3, 2, 1)):
        store.begin(run(f"run_{n}a", timedelta(hours=age)), f"{n}")
    store.finish(run("run_1a", timedelta(hours=2), status="complete"), {"n_rows": 6})
    assert store.run("run_0a").id == "run_0a"
    assert store.run("run_2").id == "run_2a"
    assert store.run("tiny").id == "run_1a", "the newest that is complete"
    assert [r.id for r, _ in store.runs("tiny")] == ["run_2a", "run_1a", "run_0a"]
    assert store.summary("run_1a") == {"n_rows": 6}
    with pytest.raises(NotFound, match="run_9"):
        store.run("run_9")


def test_the_cache_gives_back_what_was_put_there_last(store):
    assert store.get("k") is None
    store.put("k", "observation", "one")
    store.put("k", "observation", "two")
    assert store.get("k") == "two"


def test_a_forgotten_document_leaves_no_word_in_rows_and_cache_and_keeps_the_scores(store):
    store.begin(run("run_1"), "f")
    secret, other = row("run_1", "a", "The secret is blue."), row("run_1", "b", "Tea is free.")
    identity = secret.observation.hits[0].chunk.document_id
    other = other.model_copy(
        update={"observation": answered("Tea is free.", hits=(hit("Tea is free.", "file:///tea.md"),))}
    )
    for one in (secret, other):
        store.append(one)
        store.put(one.sample_id, "observation", one.observation.model_dump_json())
    store.put("scored", "scores", '[{"detail": "The secret is blue."}]')
    assert store.n_mentions(identity) == 2, "a row and a cached answer"
    assert store.forget(identity) == 1
    assert store.n_mentions(identity) == 0
    first, second = store.rows("run_1")
    assert "secret" not in first.model_dump_json()
    assert first.scores[0].value == 0.25
    assert second == other
    assert (store.get("a"), store.get("scored")) == (None, None)
    assert store.get("b") == other.observation.model_dump_json()
