from contextlib import ExitStack

import pytest

from app.evaluation import Evaluation
from app.references import GateOptions, References, _overrides, parse_reference
from app.settings import Settings
from data.database import Database
from data.errors import InvalidInput, NotFound
from data.records import EvalRun, Sample
from evals.dataset import samples_digest
from evals.runner import target_of
from evals.scorers.registry import Tools, build_scorers
from evals.store import EvalStore
from evals.suite import parse_suite
from tests.databases import put_schema
from tests.evals.gated_rows import row

SAMPLES = tuple(Sample(id=f"s{n}", question="Who?", answer="me") for n in range(4))
TARGETS = {
    "rag": {"kind": "rag"},
    "search": {"kind": "search"},
    "url": {"kind": "url", "url": "http://127.0.0.1:9/v1", "model": "m"},
    "model": {"kind": "model"},
}


@pytest.fixture
def references(tmp_path):
    put_schema(tmp_path / "assay.db")
    database = Database(f"sqlite:///{tmp_path / 'assay.db'}")

    def make(kind: str = "model", **settings) -> References:
        suite = parse_suite(
            {"name": "capitals", "dataset": {"path": "x"}, "target": TARGETS[kind], "scorers": ["exact_match"]}
        )
        chosen = Settings(home=tmp_path, **settings)
        target = target_of(lambda sample: "me", "someone", "d1")
        scorers = build_scorers(suite, Tools())
        ready = Evaluation(suite, target, scorers, SAMPLES, EvalStore(database), None, chosen, Tools())
        return References(ready, chosen, GateOptions(), ExitStack())

    yield make
    database.close()


def stored(references: References, n: int = 4, **changes) -> EvalRun:
    config = {"samples_sha256": samples_digest(SAMPLES), "target_digest": "d0"}
    run = EvalRun(
        **{"id": "run_abc", "suite": "capitals", "created_at": "2026-01-01T00:00:00Z", "target": "t", "config": config}
        | changes
    )
    references.ready.store.begin(run, "")
    for sample in SAMPLES[:n]:
        references.ready.store.append(
            row(sample.id, {"exact_match": 0.0}, text="me").model_copy(update={"run_id": run.id})
        )
    return run


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("current", "current", ""),
        ("run:run_1", "run", "run_1"),
        ("prompt:answer@2", "prompt", "answer@2"),
        ("adapter:support@3", "adapter", "support@3"),
        ("git:HEAD~1", "git", "HEAD~1"),
        ("settings:search.rerank=0,llm.seed=1", "settings", "search.rerank=0,llm.seed=1"),
    ],
)
def test_a_ref_is_told_by_its_kind(text, kind, value):
    found = parse_reference(text)
    assert (found.kind, found.value, found.text) == (kind, value, text)


def test_the_path_of_a_template_is_a_prompt(tmp_path):
    path = tmp_path / "answer@2.md"
    path.write_text("x")
    assert parse_reference(str(path)).kind == "prompt"


@pytest.mark.parametrize("text", ["", "run:", "champion", "branch:main", "no-such-file.md", "HEAD"])
def test_anything_else_is_refused_with_the_kinds_there_are(text):
    with pytest.raises(InvalidInput, match=r"current .*run:ID .*prompt:NAME@VERSION .*adapter.*git:REV.*settings"):
        parse_reference(text)


@pytest.mark.parametrize(
    ("kind", "ref", "why"),
    [
        ("search", "prompt:answer@1", "takes no prompt"),
        ("url", "prompt:answer@1", "takes no prompt"),
        ("rag", "prompt:answer@1", "the extractive answerer uses no prompt"),
        ("search", "adapter:support@1", "chooses no adapter"),
        ("model", "adapter:support@1", "no model server is configured"),
        ("url", "settings:llm.seed=1", "settings of its own"),
    ],
)
def test_a_ref_that_cannot_matter_says_why_and_what_to_do(references, kind, ref, why):
    with pytest.raises(InvalidInput) as caught:
        references(kind).side(ref)
    assert "cannot matter" in str(caught.value)
    assert why in str(caught.value)
    assert caught.value.next_step


def test_a_stored_run_is_scored_again_by_the_scorers_as_they_are_now(references):
    found = references()
    stored(found)
    side = found.side("run:run_abc")
    rows = list(side.rows(SAMPLES[::-1]))
    assert [r.sample_id for r in rows] == ["s3", "s2", "s1", "s0"]
    assert {s.value for r in rows for s in r.scores if s.scorer == "exact_match"} == {
        1.0
    }  # it said 0 when it was stored


def test_a_run_of_another_suite_or_of_other_samples_or_cut_short_is_refused(references):
    found = references()
    stored(found, id="run_other", suite="other")
    stored(found, id="run_moved", config={"samples_sha256": "0"})
    stored(found, id="run_short", n=2)
    for ref, why in (
        ("run_other", "of the suite other"),
        ("run_moved", "other samples"),
        ("run_short", "2 of 4 samples"),
    ):
        with pytest.raises(InvalidInput, match=why):
            found.side(f"run:{ref}")
    with pytest.raises(NotFound):
        found.side("run:nothing")


def test_what_is_asked_is_kept_as_a_run_and_one_that_nobody_read_to_its_end_is_told_apart(references):
    found = references()
    whole, part = found.side("current"), found.side("current")
    assert len(list(whole.rows(SAMPLES))) == 4
    started = part.rows(SAMPLES)
    next(started)
    started.close()
    status = {run.id: run.status for run, _ in found.ready.store.runs("capitals")}
    assert status == {whole.run_id: "complete", part.run_id: "stopped"}
    assert found.pilot(part)[0].run_id == whole.run_id


def test_settings_are_nested_and_typed():
    found = _overrides("search.rerank=0,ASSAY_LLM__SEED=7,llm.model=a b", Settings())
    assert {k: v for k, v in found.items() if k != "home"} == {
        "search": {"rerank": 0},
        "llm": {"seed": 7, "model": "a b"},
    }
    with pytest.raises(InvalidInput, match="is no setting"):
        _overrides("search", Settings())
