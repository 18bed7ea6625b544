import pytest

from app.evaluation import evaluation, versions
from app.settings import load_settings
from data.errors import InvalidInput
from evals.suite import ModelTarget, load_suite

pytestmark = pytest.mark.slow  # loads the real encoder and ingests the sample corpus once


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    suite = load_suite("handbook")
    few = suite.model_copy(update={"dataset": suite.dataset.model_copy(update={"where": {"kind": ("outdated",)}})})
    with evaluation(few, load_settings(home=tmp_path_factory.mktemp("home"))) as opened:
        yield opened


def test_the_handbook_runs_over_a_store_of_its_own_and_its_results_are_the_users(ready):
    run = ready.run()
    rows = ready.store.rows(run.id)
    assert run.status == "complete"
    assert [row.sample_id for row in rows] == [sample.id for sample in ready.samples]
    assert {score.scorer for row in rows for score in row.scores} <= set(ready.metrics)
    assert not any(score.error for row in rows for score in row.scores)
    assert ready.assay.var.parent.parent == ready.settings.var / "eval"
    assert (ready.settings.var / "assay.db").exists()


def test_another_target_over_the_same_store_shares_what_is_equal(ready):
    ready.run()
    base = ready.suite.target
    cached = list(ready.rows(target=ready.target_of(base.model_copy(update={"model": "assay-extractive"}))))
    assert all(row.is_cached for row in cached), "no model is configured, so both answer alike"
    narrow = list(ready.rows(ready.samples[:1], target=ready.target_of(base.model_copy(update={"k": 1}))))
    assert not narrow[0].is_cached
    assert len(narrow[0].observation.hits) == 1


def test_a_target_that_cannot_be_built_stops_before_anything_is_asked(ready):
    with pytest.raises(InvalidInput, match="ASSAY_LLM__MODEL"):
        ready.target_of(ModelTarget(kind="model"))


def test_a_run_names_the_versions_that_made_it():
    assert set(versions()) >= {"assay"}
