"""Adapters from rows to production on one machine: trained, registered, loaded into a real vLLM at run time, asked through the API.

The toy decoder is made, three adapters are trained by `finetune.train` and registered in MLflow: `tiny-team` and `tiny-urgency` ask the
same of the same tickets and want different answers; `tiny-desk` answers our own prompt with citations. Takes some minutes.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.adapters import compare_served, open_registry, registered_release, sync_adapters
from app.assay import Assay
from app.server import build_app
from app.settings import Settings
from app.wiring import open_assay
from data.records import Outcome, Principal, Verdict
from serving.config_llm import LLMConfig
from serving.rollout.config import RolloutConfig
from serving.rollout.policy import Metric, RolloutPolicy
from serving.rollout.state import Release, Stage
from serving.rollout.store import By, RolloutStore
from serving.rollout.verdicts import new_verdict_id, record_verdict
from tests import toy_desk
from tests.vllm_server import BASE, RealVLLM, run_python

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SAMPLES = Path(__file__).parent.parent / "finetune" / "samples"
TASKS = ("team", "urgency")
ANNA = By("anna", "end to end")
LENIENT = {"tolerance": 0.2}
POLICY = RolloutPolicy(
    metrics=(
        Metric(name="error", **LENIENT),
        Metric(name="abstained", **LENIENT),
        Metric(name="slow", is_required=False, **LENIENT),
        Metric(name="support", higher_is_better=True, **LENIENT),
    ),
    min_units=20,
)
"""Wide tolerances, so that the trials are short: the statistics themselves are tested in tests/serving/rollout."""


@pytest.fixture(scope="module")
def settings(real_vllm: RealVLLM, tmp_path_factory) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("home"),
        llm=LLMConfig(model=BASE, base_url=real_vllm.url, api_key=SecretStr(real_vllm.key), max_tokens=48),
        rollout=RolloutConfig(poll_s=0.1, judge_s=0.2, slow_s=60),
    )


@pytest.fixture(scope="module")
def assay(settings) -> Iterator[Assay]:
    assay = open_assay(settings)
    assay.start()
    toy_desk.ingest(assay)
    yield assay
    assay.close()


@pytest.fixture(scope="module")
def trained(settings, assay, toy_base, tmp_path_factory) -> Path:
    """The three adapters, each registered as version 1 with the alias `challenger`. Returns the folder of the runs."""
    folder = tmp_path_factory.mktemp("runs")
    rows = {task: (SAMPLES / f"{task}_train.jsonl", SAMPLES / f"{task}_heldout.jsonl") for task in TASKS}
    rows["desk"] = (
        toy_desk.write_rows(folder / "desk.jsonl", _desk_rows(assay, toy_desk.TRAINED_PLACES)),
        toy_desk.write_rows(folder / "desk_heldout.jsonl", _desk_rows(assay, toy_desk.NEW_PLACES[:4])),
    )
    recipes = []
    for task, files in rows.items():
        shape = {"epochs": 4, "batch_size": 1, "max_length": 768} if task == "desk" else {}
        mlflow = settings.var / "mlflow.db"
        recipes.append(toy_desk.write_recipe(folder, f"tiny-{task}", files, base=toy_base, mlflow=mlflow, **shape))
    run_python(
        "-c", "import sys; from finetune.train import main; sys.exit(max(main([r]) for r in sys.argv[1:]))", *recipes
    )
    return folder


@pytest.fixture(scope="module")
def sync(settings, assay, real_vllm, trained) -> Iterator[Callable[[], dict[str, str]]]:
    def run() -> dict[str, str]:
        done = sync_adapters(settings, assay.stores.database, open_registry(settings), real_vllm.client)
        return {one.ref: one.done for one in done}

    yield run
    for model in real_vllm.client.models():
        if model.parent:
            real_vllm.client.unload_adapter(model.id)


def _desk_rows(assay: Assay, places) -> list[dict]:
    return [toy_desk.row(assay, question, answer) for question, answer in toy_desk.questions(places)]


def _judge(assay: Assay, name: str, release: Release) -> str:
    verdict = Verdict(
        id=new_verdict_id(),
        name=name,
        version=release.version,
        outcome=Outcome.PASS,
        created_at=datetime.now(UTC),
        digest=release.digest,
    )
    record_verdict(assay.stores.database, verdict)
    return verdict.id


def test_each_adapter_answers_its_own_task_and_not_the_others(real_vllm, sync):
    """Exact match on 30 held-out tickets, both adapters in one server: at least 0.9 on the own task, at most 0.2 on the other."""
    assert {"tiny-team@1", "tiny-urgency@1"} <= {ref for ref, done in sync().items() if done == "loaded"}
    rows = {task: _rows(SAMPLES / f"{task}_heldout.jsonl")[:30] for task in TASKS}
    matches = {
        (adapter, task): sum(
            real_vllm.client.chat(f"tiny-{adapter}@1", row["messages"][:1], 16).strip() == row["messages"][1]["content"]
            for row in rows[task]
        )
        / len(rows[task])
        for adapter in TASKS
        for task in TASKS
    }
    print(f"exact match: {matches}")
    for adapter, task in matches:
        right = matches[adapter, task] >= 0.9 if adapter == task else matches[adapter, task] <= 0.2
        assert right, matches


def test_an_adapter_is_the_same_with_its_base_merged_and_served_and_another_one_is_not(
    settings, real_vllm, sync, trained
):
    """finetune's parity check with the real server among the forms."""
    sync()
    recipe = trained / "tiny-team.yaml"
    same = compare_served(settings, real_vllm.client, recipe, (), "")
    print(f"parity: {same.compared}, largest difference {same.largest_difference:.2g} nats over {same.n_tokens} tokens")
    assert same.is_passed, same.mismatches
    assert len(same.compared) == 3
    assert all("parity" not in model.id for model in real_vllm.client.models())
    other = compare_served(settings, real_vllm.client, recipe, (), "tiny-urgency@1")
    assert "logprobs" in {mismatch.check for mismatch in other.mismatches}


def _rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def client(settings, assay, sync):
    from fastapi.testclient import TestClient

    sync()
    options = {"base_url": "http://127.0.0.1", "client": ("127.0.0.1", 50000)}
    with TestClient(build_app(settings, assay), **options) as client:
        yield client


class Desk:
    """Asks new questions of the collection through the API, each as another user, and counts right answers."""

    def __init__(self, client) -> None:
        self.client = client
        self.questions = toy_desk.questions(toy_desk.NEW_PLACES[4:])
        self.n = 0

    def ask(self, model: str) -> tuple[bool, dict, dict]:
        question, expected = self.questions[self.n % len(self.questions)]
        self.n += 1
        messages = [{"role": "user", "content": question}]
        body = {"model": model, "messages": messages, "collection": toy_desk.COLLECTION, "k": 1}
        response = self.client.post("/v1/chat/completions", json=body | {"user": f"user-{self.n}"})
        assert response.status_code == 200, response.text
        found = response.json()
        said = found["choices"][0]["message"]["content"]
        return said == expected.replace(" [1]", ""), found, dict(response.headers)

    def until(self, model: str, reached: Callable[[], bool], at_most: int) -> int:
        for n in range(at_most):
            if reached():
                return n
            self.ask(model)
        assert reached(), f"not reached after {at_most} answers"
        return at_most


@pytest.fixture(scope="module")
def desk(client) -> Desk:
    return Desk(client)


def test_an_adapter_goes_from_shadow_over_canary_to_champion_by_evidence_and_a_bad_one_is_rolled_back(
    settings, assay, real_vllm, sync, desk, trained
):
    """Every answer through `/v1/chat/completions` with retrieval; only `start` is said by a person."""
    store, engine = RolloutStore(assay.stores.database), assay.stores.rollout.engine
    name, first = registered_release(open_registry(settings), "tiny-desk@1")
    verdict = _judge(assay, name, first)
    store.start(name, first, ANNA, share=0.5, policy=POLICY)
    engine.refresh()

    def stage() -> Stage | None:
        state = store.state(name)
        return state.candidate.stage if state.candidate else Stage.CHAMPION if state.champion else None

    _, found, headers = desk.ask(name)
    assert "x-assay-adapter" not in headers  # nobody is shown a shadow
    n_shadow = desk.until(name, lambda: stage() is not Stage.SHADOW, 200)
    assert stage() is Stage.CANARY
    n_canary = desk.until(name, lambda: stage() is not Stage.CANARY, 400)
    assert stage() is Stage.CHAMPION
    assert store.history(name)[0].who == "sequential test"
    print(f"shadow to canary after {n_shadow} answers, canary to champion after {n_canary}")
    engine.refresh()

    answers = [desk.ask(name) for _ in range(40)]
    _, found, headers = answers[-1]
    assert sum(is_right for is_right, _, _ in answers) >= 34  # of an adapter that is right nine times in ten or more
    assert headers["x-assay-adapter"] == found["model"] == "tiny-desk@1"
    assert headers["x-assay-adapter-digest"] == first.digest == _manifest(trained)["digest"]
    assert headers["x-assay-verdict"] == verdict
    assert found["choices"][0]["message"]["annotations"][0]["citation"]["quote"]
    receipt = assay.receipt(found["assay"]["receipt_id"], Principal())
    assert (receipt.model, receipt.adapter, receipt.model_digest) == (BASE, "tiny-desk@1", first.digest)

    _plant_a_bad_version(settings, real_vllm.base, trained)
    _, bad = registered_release(open_registry(settings), "tiny-desk@2")
    _judge(assay, name, bad)
    store.start(name, bad, ANNA, stage=Stage.CANARY, share=0.5, policy=POLICY)
    assert sync()["tiny-desk@2"] == "loaded"
    engine.refresh()
    n_bad = desk.until(name, lambda: stage() is not Stage.CANARY, 300)
    newest = store.history(name)[0]
    print(f"the bad version was rolled back after {n_bad} answers: {newest.why}")
    assert (newest.action, newest.version, newest.who) == ("rollback", "2", "sequential test")
    engine.refresh()
    assert all(desk.ask(name)[2]["x-assay-adapter"] == "tiny-desk@1" for _ in range(10))
    assert store.live(newest.at).states[name].champion.version == "1"


def _manifest(trained: Path) -> dict:
    return json.loads((trained / "out" / "tiny-desk" / "adapter" / "manifest.json").read_text())


def _plant_a_bad_version(settings: Settings, base: Path, trained: Path) -> None:
    """Register version 2: random weights with an honest manifest, so that nothing but its answers is wrong."""
    from mlflow import MlflowClient

    folder = trained / "bad"
    shutil.rmtree(folder, ignore_errors=True)
    run_python(Path(__file__).parent / "serving" / "vllm" / "random_adapter.py", base, folder)
    MlflowClient(settings.mlflow, settings.mlflow).create_model_version("tiny-desk", folder.as_uri())
