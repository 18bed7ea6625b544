"""A rollback reaches every API process: two real servers on one database, a model server that is a stand-in."""

import time
from datetime import UTC, datetime

import pytest

from app.settings import Settings
from app.wiring import open_database
from data.records import Outcome, Verdict
from serving.rollout.state import Release, Stage
from serving.rollout.store import By, RolloutStore
from serving.rollout.verdicts import new_verdict_id, record_verdict
from tests.running_server import running_server
from tests.serving.fake_openai import fake_openai

pytestmark = pytest.mark.slow
ANNA = By("anna", "a test")


def _models(server) -> list[str]:
    return [m["id"] for m in server.get("/v1/models").json()["data"]]


def test_a_rollback_is_in_force_on_two_servers_within_a_second(tmp_path):
    database = open_database(Settings(home=tmp_path))
    store, release = RolloutStore(database), Release(version="7", digest="7" * 64)
    verdict = Verdict(
        id=new_verdict_id(),
        name="support",
        version="7",
        outcome=Outcome.PASS,
        created_at=datetime.now(UTC),
        digest=release.digest,
    )
    record_verdict(database, verdict)
    store.start("support", release, ANNA, stage=Stage.CANARY)
    store.promote("support", ANNA)
    other = tmp_path / "other"
    other.mkdir()
    with fake_openai() as model:
        settings = {
            "ASSAY_DATABASE_URL": database.url,
            "ASSAY_LLM__BASE_URL": model.url,
            "ASSAY_LLM__MODEL": "tiny",
        }
        with running_server(tmp_path, **settings) as a, running_server(other, **settings) as b:
            assert all("support@7" in _models(server) for server in (a, b))
            store.rollback("support", ANNA)
            rolled_back_at, took = time.monotonic(), {}
            while len(took) < 2:
                for server in (a, b):
                    asked_at = time.monotonic()
                    if server.base not in took and "support@7" not in _models(server):
                        took[server.base] = asked_at - rolled_back_at
                assert time.monotonic() - rolled_back_at < 30, "never in force"
            print(f"in force after {took.values()}")
            assert max(took.values()) < 1.0
    database.close()
