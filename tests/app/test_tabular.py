import json
from dataclasses import replace

import pytest

import app.tabular_card as card
from app.settings import load_settings
from app.tabular import TableRefused, checked_table, measured, model_folder, train_table_model
from data.errors import NotFound
from data.tabular.model_files import load_model
from evals.tabular.selection import FairnessViolation
from finetune.tabular.train import Options, prepare, train_candidate
from finetune.tabular.train import best as best_of
from tests.finetune.tabular.small_run import small_config, small_frame, small_spec

pytestmark = pytest.mark.slow

QUALITY = pytest.mark.filterwarnings("ignore")  # Great Expectations' own


@pytest.fixture
def settings(tmp_path):
    return load_settings(home=tmp_path)


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A home, and what a run left there."""
    settings = load_settings(home=tmp_path_factory.mktemp("left"))
    return settings, train_table_model(small_config(), settings, frame=small_frame())


def test_a_run_leaves_a_verified_model_with_a_card_and_pictures(left):
    settings, done = left
    assert done.model.ref == "small@1"
    assert done.folder == settings.tabular_models / "small@1"
    again = load_model(done.folder, digest=done.model.digest)
    assert again.scores(small_frame()).tobytes() == done.model.scores(small_frame()).tobytes()
    assert set(again.baseline) >= {"roc_auc", "pr_auc", "brier", "cost", "calibration_error"}
    assert again.baseline["roc_auc"].low < again.baseline["roc_auc"].value < again.baseline["roc_auc"].high
    card = (done.folder / "README.md").read_text()
    for part in ("# small 1", "## Fairness", "| sex | disparate_impact |", "## Explanation", "![roc](roc.png)"):
        assert part in card
    assert (done.folder / "roc.png").stat().st_size > 5000


def test_versions_count_up_and_are_found_by_name(left):
    settings, _ = left
    assert train_table_model(small_config(), settings, frame=small_frame()).model.ref == "small@2"
    assert model_folder(settings, "small").name == "small@2"
    assert model_folder(settings, "small@1").name == "small@1"
    with pytest.raises(NotFound, match="small"):
        model_folder(settings, "other")


def test_a_column_that_knows_the_answer_stops_the_run_unless_told_to_go_on(settings):
    frame = small_frame().copy()
    frame["claim_amount"] = frame["claim_amount"].where(~frame["fraud"].astype(bool), 200_000.0)
    with pytest.raises(TableRefused, match="claim_amount alone predicts the target"):
        train_table_model(small_config(), settings, frame=frame)
    done = train_table_model(small_config(), settings, frame=frame, go_on=True)
    assert any(one.code == "leak" for one in done.trained.findings)
    assert "claim_amount alone predicts" in (done.folder / "README.md").read_text()


def test_where_no_model_is_fair_enough_the_run_fails_and_leaves_nothing(settings):
    strict = {"required": True, "max_difference": 0.0, "impact": [1.0, 1.0]}
    with pytest.raises(FairnessViolation, match="None of 1 models is fair enough"):
        train_table_model(small_config(fairness=strict), settings, frame=small_frame())
    assert not settings.tabular_models.exists()


def test_a_model_that_is_fair_is_kept_though_another_is_better(settings, monkeypatch):
    models = [
        {"kind": "xgboost", "params": {"max_depth": 2, "eta": 0.3}, "early_stopping": 10},
        {"kind": "logistic_regression", "params": {"C": 0.05}},
    ]
    loose = {"required": True, "max_difference": 1.0, "impact": [0.0, 100.0], "min_rows": 1}
    loaded = small_config(models=models, fairness=loose)
    rows = prepare(loaded, small_frame())
    options = Options(measured, "sqlite://")
    candidates = [train_candidate(rows, model, options) for model in loaded.config.models]
    best = card.fairest(rows, candidates)
    assert best is best_of(rows, candidates)  # where all are fair
    other = next(one for one in candidates if one is not best)

    def unfair(rows, places, decisions):
        given = card_reports(rows, places, decisions)
        return given if (decisions == (other.scores >= other.threshold)).all() else [_broken(one) for one in given]

    card_reports = card.fairness_reports
    monkeypatch.setattr(card, "fairness_reports", unfair)
    assert card.fairest(rows, candidates) is other


def _broken(report):
    return replace(
        report, figures={name: replace(one, verdict="fail", excess=1.0) for name, one in report.figures.items()}
    )


@QUALITY
def test_a_critical_finding_of_the_suite_stops_the_run(settings, tmp_path):
    spec = small_spec()
    strict = spec.model_copy(update={"quality": spec.quality.model_copy(update={"min_rows": 1_000_000})})
    with pytest.raises(TableRefused, match="critical"):
        checked_table(strict, settings, quality=True)
    assert json.loads(next((settings.var / "quality").rglob("*.json")).read_text())["table"] == "claims"
