import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from app.commands.rollout import app
from app.settings import Settings
from app.wiring import open_database
from data.errors import AssayError, InvalidInput, NotFound
from data.records import Outcome, Verdict
from serving.registry import FolderRegistry, verified_digest
from serving.rollout.verdicts import new_verdict_id, record_verdict
from tests.databases import put_schema
from tests.serving.adapters import make_adapter


class World:
    def __init__(self, home) -> None:
        self.home = home
        put_schema(home / "var" / "assay.db")
        self.registry = FolderRegistry(home / "var" / "registered")
        for version in ("1", "2"):
            make_adapter(home / "var" / "registered" / f"support@{version}", version.encode())
        self.registry.set_alias("support", "challenger", "2")

    def digest(self, version: str) -> str:
        return verified_digest(self.home / "var" / "registered" / f"support@{version}")

    def run(self, *words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, [*words], env={"ASSAY_HOME": str(self.home)})
        if isinstance(done.exception, AssayError):
            raise done.exception
        assert done.exit_code == code, done.output
        return done.stdout

    def judge(self, version: str, outcome: str = "pass") -> None:
        database = open_database(Settings(home=self.home))
        verdict = Verdict(
            id=new_verdict_id(),
            name="support",
            version=version,
            outcome=Outcome(outcome),
            created_at=datetime.now(UTC),
            digest=self.digest(version),
        )
        record_verdict(database, verdict)
        database.close()


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


def test_a_version_goes_up_and_back_and_history_tells_it(world):
    world.judge("1")
    assert "support@1 is on trial as shadow" in world.run("start", "support@1", "--why", "first", "--who", "anna")
    assert "answers 10% of callers" in world.run("promote", "support", "--who", "ben")
    assert "support@1 is the champion" in world.run("promote", "support", "--who", "ben")
    between = datetime.now(UTC).isoformat()
    assert "the base model" in world.run("rollback", "support", "--why", "complaints", "--who", "cleo")
    events = json.loads(world.run("history", "support", "--json"))
    assert [(e["action"], e["who"], e["why"]) for e in events] == [
        ("rollback", "cleo", "complaints"),
        ("promote", "ben", ""),
        ("promote", "ben", ""),
        ("start", "anna", "first"),
    ]
    assert events[1]["verdict_id"].startswith("vdct_")
    assert "support: support@1" in world.run("history", "--at", between)
    then = json.loads(world.run("history", "support", "--at", between, "--json"))
    assert then["rollouts"]["support"]["champion"]["digest"] == world.digest("1")
    assert "Nothing was live." in world.run("history", "--at", "2020-01-01")
    assert "complaints" in world.run("history")


def test_a_name_alone_means_its_challenger_with_its_digest(world):
    world.run("start", "support")
    (found,) = json.loads(world.run("status", "--json"))["rollouts"]
    assert found["candidate"]["release"] == {"version": "2", "digest": world.digest("2"), "verdict_id": ""}


def test_the_gates_no_is_exit_code_1_and_changes_nothing(world):
    world.run("start", "support@1", "--stage", "canary", code=1)
    assert json.loads(world.run("status", "--json"))["rollouts"] == []
    world.judge("1", "fail")
    world.run("start", "support@1")
    world.run("promote", "support", code=1)
    (found,) = json.loads(world.run("status", "--json"))["rollouts"]
    assert found["candidate"]["stage"] == "shadow"


def test_status_shows_the_evidence_and_what_holds_it_up(world):
    world.run("start", "support@2")
    text = world.run("status")
    assert "on trial: support@2 as shadow" in text
    assert "wait: 0 of at least 30 units have answered" in text


def test_a_collection_is_bound_and_unbound(world):
    world.run("start", "support@2")
    assert "acme/tickets -> support" in world.run("bind", "support", "--tenant", "acme", "-c", "tickets")
    assert "tenant acme, tickets -> support" in world.run("status")
    world.run("bind", "", "--tenant", "acme", "-c", "tickets")
    assert "acme" not in world.run("status")


def test_a_policy_file_is_used_and_a_wrong_one_is_refused(world, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("min_units: 7\nunit: request\nmetrics: [{name: error}]\n")
    world.run("start", "support@2", "--policy", str(policy))
    (found,) = json.loads(world.run("status", "--json"))["rollouts"]
    assert found["candidate"]["policy"]["min_units"] == 7
    policy.write_text("min_unit: 7\n")
    with pytest.raises(InvalidInput, match="min_unit"):
        world.run("start", "support@1", "--policy", str(policy))


def test_wrong_words_say_what_is_allowed(world):
    with pytest.raises(InvalidInput, match="shadow or canary"):
        world.run("start", "support@2", "--stage", "champion")
    with pytest.raises(NotFound, match=r"support@2 \(challenger\)"):
        world.run("start", "support@9")
    with pytest.raises(InvalidInput, match="is no time"):
        world.run("history", "--at", "yesterday")
    with pytest.raises(InvalidInput, match="has no version on trial"):
        world.run("promote", "support")


def test_a_model_outside_the_adapter_registry_is_started_by_its_digest(world):
    assert "tabular:credit@3 is on trial" in world.run("start", "tabular:credit@3", "--digest", "a" * 64)
