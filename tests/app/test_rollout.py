"""Adapters that answer, over the real product: scripted models stand in for the server that has the adapters loaded."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from app.api.service import Product
from app.keys import KeyStore
from app.receipts import verify
from app.rollout import AnswerRollout, Generators
from data.records import Outcome, Principal, Verdict
from serving.config_llm import LLMConfig
from serving.llm import Generator
from serving.rollout.config import RolloutConfig
from serving.rollout.engine import RolloutEngine
from serving.rollout.policy import Metric, RolloutPolicy
from serving.rollout.state import Release, Stage
from serving.rollout.store import By
from serving.rollout.verdicts import new_verdict_id, record_verdict
from tests.app.answering_product import answer, told_product, with_model
from tests.app.api.conftest import local_client

QUESTION = "How many weeks of parental leave may parents take?"
GOOD = "Parents may take twenty-two weeks of parental leave at full pay [1]."
ANNA = By("anna", "a test")
SEVEN, EIGHT = Release(version="7", digest="7" * 64), Release(version="8", digest="8" * 64)
ERRORS = RolloutPolicy(metrics=(Metric(name="error", tolerance=0.1),), min_units=20)


class Says(BaseChatModel):
    """Says one text, or fails; counts how often it was asked."""

    text: str = ""
    fails: bool = False
    asked: list = []  # noqa: RUF012

    @property
    def _llm_type(self):
        return "test"

    def _generate(self, messages, stop=None, run_manager=None, **_):
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.text))])

    def _stream(self, messages, stop=None, run_manager=None, **_) -> Iterator[ChatGenerationChunk]:
        self.asked.append(time.monotonic())
        if self.fails:
            raise ConnectionError("no such adapter")
        yield ChatGenerationChunk(message=AIMessageChunk(self.text))


class World:
    """A product whose base says one thing and whose releases say others."""

    def __init__(self, assay) -> None:
        self.assay = assay
        self.database = assay.stores.database
        self.models = {ref: Says(text=GOOD, asked=[]) for ref in ("support@7", "support@8")}
        self.engine = RolloutEngine(self.database, RolloutConfig(poll_s=0.05, judge_s=0.05))
        build = Generators(lambda ref: Generator(self.models[ref], LLMConfig(model=ref, breaker_failures=10_000)))
        self.rollout = AnswerRollout(self.engine, build)
        assay.stores = replace(assay.stores, rollout=self.rollout)
        self.base = Says(text=GOOD, asked=[])
        with_model(assay, self.base)

    def judge(self, release: Release) -> str:
        now = datetime.now(UTC)
        verdict = Verdict(
            id=new_verdict_id(),
            name="support",
            version=release.version,
            outcome=Outcome.PASS,
            created_at=now,
            digest=release.digest,
        )
        record_verdict(self.database, verdict)
        return verdict.id

    def champion(self, release: Release = SEVEN) -> str:
        verdict = self.judge(release)
        self.engine.store.start("support", release, ANNA, stage=Stage.CANARY)
        self.engine.store.promote("support", ANNA)
        self.engine.refresh()
        return verdict

    def trial(self, stage: Stage, release: Release = EIGHT, share: float = 0.5) -> None:
        self.judge(release)
        self.engine.store.start("support", release, ANNA, stage=stage, share=share, policy=ERRORS)
        self.engine.refresh()


@pytest.fixture
def world(tmp_path):
    with told_product(tmp_path) as assay:
        yield World(assay)


@pytest.fixture
def client(world):
    keys = KeyStore(world.database)
    with local_client(Product(assay=world.assay, keys=keys, models=("fake",), rollout=world.rollout)) as client:
        yield client


def ask(client, model: str = "assay", **body):
    messages = [{"role": "user", "content": QUESTION}]
    return client.post("/v1/chat/completions", json={"model": model, "messages": messages} | body)


def test_an_adapter_is_a_model_and_its_answer_says_which_files_under_which_verdict(world, client):
    verdict = world.champion()
    assert [m["id"] for m in client.get("/v1/models").json()["data"]][-2:] == ["support", "support@7"]
    for name in ("support", "support@7"):
        response = ask(client, name)
        assert response.json()["model"] == "support@7"
        assert response.headers["x-assay-adapter"] == "support@7"
        assert response.headers["x-assay-adapter-digest"] == SEVEN.digest
        assert response.headers["x-assay-verdict"] == verdict
    receipt_id = response.json()["assay"]["receipt_id"]
    receipt = world.assay.receipt(receipt_id, Principal())
    assert (receipt.model, receipt.adapter, receipt.model_digest) == ("fake", "support@7", SEVEN.digest)
    assert verify(receipt).ok


def test_a_streamed_answer_carries_the_same_headers(world, client):
    world.champion()
    response = ask(client, "support", stream=True)
    assert response.headers["x-assay-adapter"] == "support@7"
    assert "twenty-two weeks" in response.text


def test_the_configured_model_answers_where_no_adapter_is_asked_for(world, client):
    world.champion()
    response = ask(client)
    assert "x-assay-adapter" not in response.headers
    assert response.json()["model"] == "fake"
    assert not world.models["support@7"].asked


def test_a_bound_tenant_or_collection_is_answered_by_its_adapter(world, client):
    world.champion()
    world.engine.store.bind("default", "default", "support", ANNA)
    world.engine.refresh()
    assert ask(client, collection="default").headers["x-assay-adapter"] == "support@7"
    assert "x-assay-adapter" not in ask(client).headers
    world.engine.store.bind("default", "", "support", ANNA)
    world.engine.refresh()
    assert ask(client).headers["x-assay-adapter"] == "support@7"
    assert "x-assay-adapter" not in ask(client, "assay-extractive").headers
    assert answer(world.assay, QUESTION, Principal()).model == "support@7"  # commands and MCP too
    assert answer(world.assay, QUESTION, Principal(tenant="other")).model != "support@7"


def test_versions_that_users_may_not_see_are_no_models(world, client):
    world.champion()
    world.trial(Stage.SHADOW)
    assert ask(client, "support@8").status_code == 404
    assert ask(client, "support@6").status_code == 404
    world.engine.store.promote("support", ANNA)
    world.engine.refresh()
    assert ask(client, "support@8").headers["x-assay-adapter"] == "support@8"


def test_a_name_whose_first_version_is_in_the_shadows_is_answered_by_the_base(world, client):
    world.trial(Stage.SHADOW)
    response = ask(client, "support")
    assert response.json()["model"] == "fake"
    assert "x-assay-adapter" not in response.headers


def test_a_shadow_is_asked_in_the_background_leaves_no_receipt_and_is_never_returned(world, client):
    world.champion()
    world.models["support@8"].text = "Ninety purple bananas dance on Tuesday mornings [1]."
    world.trial(Stage.SHADOW)
    trial = world.engine.store.state("support").candidate.trial
    for _ in range(3):
        assert "bananas" not in ask(client, "support").text
    deadline = time.monotonic() + 10
    while len(found := world.engine.outcomes.since("support", trial)) < 3:
        world.engine.flush()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert {o.arm for _, o in found} == {"pair"}
    assert all(o.metrics["support"] < o.against["support"] == 1.0 for _, o in found)
    with world.database.read() as connection:
        stored = connection.exec_driver_sql("select body from receipts").all()
    assert len(stored) == 3
    assert "bananas" not in str(stored)


@pytest.mark.slow
def test_the_same_user_meets_the_same_version_and_users_are_split(world, client):
    world.champion()
    world.trial(Stage.CANARY)
    met = {n: {ask(client, "support", user=f"u{n}").headers["x-assay-adapter"] for _ in range(2)} for n in range(12)}
    assert all(len(versions) == 1 for versions in met.values())
    assert set.union(*met.values()) == {"support@7", "support@8"}


@pytest.mark.slow
def test_a_canary_that_fails_falls_back_for_its_users_and_is_rolled_back_by_itself(world, client):
    world.champion()
    world.models["support@8"].fails = True
    world.trial(Stage.CANARY)
    answers = [ask(client, "support", user=f"user {n}").json() for n in range(60)]
    fell_back = [a for a in answers if a["assay"]["fallback_from"] == "support@8"]
    assert fell_back
    assert all("twenty-two" in a["choices"][0]["message"]["content"] for a in answers)
    receipt = world.assay.receipt(fell_back[0]["assay"]["receipt_id"], Principal())
    assert receipt.adapter == ""
    world.engine.flush()
    world.engine.decide()
    newest = world.engine.store.history("support")[0]
    assert (newest.action, newest.version, newest.who) == ("rollback", "8", "sequential test")
    assert {ask(client, "support", user=f"user {n}").headers["x-assay-adapter"] for n in range(10)} == {"support@7"}


def test_thumbs_count_for_the_version_that_answered(world, client):
    world.champion()
    world.trial(Stage.CANARY)
    trial = world.engine.store.state("support").candidate.trial
    response = ask(client, "support", user="ada")
    rating = {"receipt_id": response.json()["assay"]["receipt_id"], "rating": "down"}
    assert client.post("/v1/feedback", json=rating).status_code == 201
    (_, rated) = world.engine.outcomes.since("support", trial)[-1]
    version = "candidate" if response.headers["x-assay-adapter"] == "support@8" else "incumbent"
    assert (rated.arm, rated.metrics) == (version, {"thumbs": 0.0})


def test_a_full_queue_of_shadows_mirrors_no_more_and_counts_what_it_left_out(world, client):
    world.champion()
    world.trial(Stage.SHADOW)
    while world.rollout._room.acquire(blocking=False):
        pass
    ask(client, "support")
    assert world.rollout.n_not_mirrored == 1
    assert not world.models["support@8"].asked


def test_a_tabular_models_rollout_is_no_language_model(world, client):
    world.engine.store.start("tabular:credit", SEVEN, ANNA)
    world.engine.refresh()
    assert "tabular" not in client.get("/v1/models").text
