"""Tabular versions under the rollout engine: who answers, what is measured, what labels decide."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import structlog

from app.prediction import Predictions
from app.prediction_trial import METRICS, POLICY, ab_policy, metric_named
from app.rollout import TABULAR
from data.errors import InvalidInput, NotFound
from data.records import Outcome, Principal, Verdict
from data.tabular.calibration import PlattCalibration
from data.tabular.model_files import TamperedModel
from serving.rollout.config import RolloutConfig
from serving.rollout.engine import RolloutEngine
from serving.rollout.policy import RolloutPolicy
from serving.rollout.state import Release, Stage
from serving.rollout.store import By
from serving.rollout.verdicts import new_verdict_id
from serving.tabular.config import TabularConfig
from serving.tabular.model_store import ModelStore
from serving.tabular.prediction_log import PredictionLog
from serving.tabular.prediction_store import PredictionStore
from serving.tabular.row_contract import RowsRefused
from tests.databases import new_database
from tests.serving.tabular.stores import put_model, request_rows


@pytest.fixture(autouse=True)
def _quiet():
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


NAME = TABULAR + "loans"
ME = By("test", "why")
ROWS = request_rows(60)


@pytest.fixture
def predictions(tmp_path):
    put_model(tmp_path / "models", "1")
    put_model(tmp_path / "models", "2", threshold=0.99)
    store = ModelStore(tmp_path / "models")
    store.set_alias("loans", "champion", "1")
    database = new_database(tmp_path / "db")
    kept = PredictionLog(PredictionStore(database), TabularConfig(log_flush_s=60))
    engine = RolloutEngine(database, RolloutConfig())  # not started: each test follows and decides when it wants to
    made = Predictions(store, engine, kept, TabularConfig(log_share=0), owns_engine=False)
    yield made
    made.close()
    database.close()


def verdict(predictions: Predictions, version: str) -> None:
    predictions.record(
        Verdict(
            id=new_verdict_id(),
            name=NAME,
            version=version,
            outcome=Outcome.PASS,
            created_at=datetime.now(UTC),
            digest=predictions.store.digest("loans", version),
        )
    )


def begin(predictions: Predictions, stage: Stage, policy: RolloutPolicy = POLICY, share: float = 0.5, digest: str = ""):
    if stage is Stage.CANARY:
        verdict(predictions, "2")
    release = Release(version="2", digest=digest or predictions.store.digest("loans", "2"))
    predictions.engine.store.start(NAME, release, ME, stage=stage, share=share, policy=policy)
    predictions.engine.refresh()


def ask(predictions: Predictions, at: int):
    return predictions.predict("loans", [ROWS[at % 60] | {"loan": f"N{at}"}], f"r{at}")


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kept_rows(predictions: Predictions, *stages: str):
    predictions.kept.flush()
    return [one for page in predictions.kept.store.each("loans", stages=stages) for one in page]


def test_without_a_rollout_the_alias_answers_and_a_version_can_be_pinned(predictions):
    assert (ask(predictions, 0).predictor.version, ask(predictions, 0).stage) == ("1", "champion")
    pinned = predictions.predict("loans@2", ROWS[:1], "r")
    assert (pinned.predictor.version, pinned.stage) == ("2", "pinned")


def test_a_shadow_is_asked_in_the_background_and_never_shown(predictions):
    begin(predictions, Stage.SHADOW)
    for at in range(20):
        assert ask(predictions, at).predictor.version == "1"
    until(lambda: len(kept_rows(predictions, "shadow")) == 20)
    assert {one.version for one in kept_rows(predictions, "shadow")} == {"2"}
    assert len(kept_rows(predictions, "champion")) == 20  # a trial keeps all, though the sample is empty

    def changed():
        predictions.engine.flush()
        return next(r for r in predictions.engine.judged(NAME).readings() if r.metric == "changed")

    until(lambda: changed().n_candidate == 20)
    assert changed().difference < 0  # a threshold of 0.99 decides otherwise


def test_a_canary_answers_its_share_and_a_row_always_goes_the_same_way(predictions):
    begin(predictions, Stage.CANARY)
    versions = [ask(predictions, at).predictor.version for at in range(60)]
    assert 15 < versions.count("2") < 45
    assert versions == [ask(predictions, at).predictor.version for at in range(60)]


def test_a_canary_whose_files_are_not_the_released_ones_fails_no_request_and_is_rolled_back(predictions):
    begin(predictions, Stage.CANARY, digest="", share=0.5)
    (predictions.store.folder("loans", "2") / "estimator.json").write_text("{}")
    for at in range(300):
        assert ask(predictions, at).predictor.version == "1"
    predictions.engine.flush()
    predictions.engine.decide()
    assert predictions.engine.store.state(NAME).candidate is None
    newest = predictions.engine.store.history(NAME)[0]
    assert (newest.action, newest.who) == ("rollback", "sequential test")
    assert "error is worse" in newest.why


def test_a_champion_with_other_files_than_released_is_refused(predictions):
    verdict(predictions, "1")
    release = Release(version="1", digest=predictions.store.digest("loans", "1"))
    predictions.engine.store.start(NAME, release, ME, stage=Stage.CANARY)
    predictions.engine.store.promote(NAME, ME)
    predictions.engine.refresh()
    assert ask(predictions, 0).predictor.version == "1"
    other = ModelStore(predictions.store._registry._root)
    predictions.store._loaded.clear()
    predictions.store._loaded["loans", "1"] = other.predictor("loans", "2")
    with pytest.raises(TamperedModel):
        ask(predictions, 0)


@pytest.mark.slow
def test_labels_take_a_worse_shadow_back_by_themselves(predictions, tmp_path):
    """Its decisions are the champion's, its probabilities are all near a half: only labels tell."""
    put_model(tmp_path / "models", "3", calibration=PlattCalibration(slope=0.01, intercept=0.0), threshold=0.0)
    put_model(tmp_path / "models", "4", threshold=0.0)
    store = predictions.store = ModelStore(tmp_path / "models")
    store.set_alias("loans", "champion", "4")
    release = Release(version="3", digest=store.digest("loans", "3"))
    predictions.engine.store.start(NAME, release, ME, policy=POLICY)
    predictions.engine.refresh()
    for at in range(260):
        ask(predictions, at)
        if at % 20 == 0:
            until(lambda at=at: len(kept_rows(predictions, "shadow")) > at)
    until(lambda: len(kept_rows(predictions, "shadow")) == 260)
    known = [
        (one.key, one.decision, None) for one in kept_rows(predictions, "champion")
    ]  # the champion is always right
    assert predictions.learn("loans", known) == 260
    predictions.engine.decide()
    newest = predictions.engine.store.history(NAME)[0]
    assert newest.action == "rollback"
    assert "brier is worse" in newest.why


@pytest.mark.slow
def test_an_ab_test_promotes_the_version_that_labels_prove_better(predictions):
    metric = metric_named("wrong").model_copy(update={"min_lift": 0.05})
    begin(predictions, Stage.CANARY, ab_policy(metric, 4000))
    for at in range(400):
        ask(predictions, at)
    mine = kept_rows(predictions, "canary", "champion")
    truth = [(one.entity, one.decision if one.stage == "canary" else not one.decision, None) for one in mine]
    predictions.learn("loans", truth)
    predictions.engine.decide()
    state = predictions.engine.store.state(NAME)
    assert state.champion is not None
    assert state.champion.version == "2"
    assert "better by more than 0.05: wrong" in predictions.engine.store.history(NAME)[0].why
    predictions.engine.refresh()
    assert ask(predictions, 1).predictor.version == "2"


def test_a_rollback_brings_the_champion_before_back(predictions):
    begin(predictions, Stage.CANARY)
    predictions.engine.store.promote(NAME, ME)
    predictions.engine.refresh()
    assert ask(predictions, 0).predictor.version == "2"
    predictions.engine.store.rollback(NAME, ME)
    predictions.engine.refresh()
    assert ask(predictions, 0).predictor.version == "1"


def test_wrong_rows_are_the_clients_error_and_no_outcome_of_the_trial(predictions):
    begin(predictions, Stage.CANARY, share=0.9)
    for at in range(5):
        with pytest.raises(RowsRefused):
            predictions.predict("loans", [ROWS[0] | {"amount": "x"}], f"w{at}")
    predictions.engine.flush()
    assert all(r.n_candidate == 0 for r in predictions.engine.judged(NAME).readings())


def test_too_many_rows_none_and_unknown_models_are_refused(predictions):
    with pytest.raises(InvalidInput, match="from 1 to 1000"):
        predictions.predict("loans", [], "r")
    with pytest.raises(NotFound):
        predictions.predict("lones", ROWS[:1], "r")
    with pytest.raises(NotFound):
        predictions.learn("lones", [("a", True, None)])


def test_predictions_belong_to_their_tenant(predictions):
    predictions.kept._config = TabularConfig(log_share=1)
    predictions.predict("loans", ROWS[:1], "t1", Principal(tenant="acme"))
    predictions.kept.flush()
    assert predictions.kept.store.find("t1:0", "acme").score > 0
    with pytest.raises(NotFound):
        predictions.explain_kept("t1:0", Principal())


def test_the_default_model_is_the_only_one_or_the_settings(predictions, tmp_path):
    assert predictions.default_model() == "loans"
    predictions.config = TabularConfig(default_model="other")
    assert predictions.default_model() == "other"
    predictions.config, predictions.store = TabularConfig(), ModelStore(tmp_path / "none")
    with pytest.raises(NotFound, match="DEFAULT_MODEL"):
        predictions.default_model()


def test_the_policy_waits_for_labels_before_it_promotes():
    assert [one.name for one in METRICS if one.is_required] == ["error", "slow", "brier"]
    compared = ab_policy(metric_named("wrong").model_copy(update={"min_lift": 0.01}), 500)
    assert [one.name for one in compared.metrics if one.is_required] == ["wrong"]
    assert compared.max_units == 500
    with pytest.raises(InvalidInput, match="brier, wrong"):
        metric_named("changed")


def test_a_fault_in_a_model_is_counted_and_raised(predictions):
    broken = predictions.store.predictor("loans", "1")
    broken.model = replace(broken.model, estimator=_Failing(broken.model.features.n_features))
    with pytest.raises(ZeroDivisionError):
        ask(predictions, 0)
    counted = {
        s.labels["outcome"]: s.value
        for m in predictions.metrics.total.collect()
        for s in m.samples
        if s.name.endswith("_total")
    }
    assert counted["failed"] == 1


class _Failing:
    kind = "logistic_regression"
    native = None

    def __init__(self, n_features: int) -> None:
        self.n_features = n_features

    def raw_scores(self, matrix: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError

    def to_bytes(self) -> bytes:
        return b""
