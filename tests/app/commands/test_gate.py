import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from app.__main__ import main
from app.commands.gate import app as gate_app
from app.settings import ROOT
from data.database import Database
from evals.digest_store import RunHistory
from evals.gate_store import GateHistory, GateQuery
from serving.registry import FolderRegistry
from tests.app.commands.conftest import Ran, ends_with_example
from tests.built_graphs import lend_graphs
from tests.databases import put_schema
from tests.serving.adapters import make_adapter
from tests.serving.fake_openai import fake_openai
from tests.serving.obedient_model import obedient

CAPITALS = [("France", "Paris"), ("Peru", "Lima"), ("Kenya", "Nairobi"), ("Norway", "Oslo"), ("Japan", "Tokyo")]


def knows(request: dict) -> str:
    """The base knows nothing, support@1 and support@2 everything, support@3 what does not begin with P."""
    country = request["messages"][-1]["content"].split()[-2]
    capital = dict(CAPITALS)[country]
    wrong = {"base": True, "support@3": capital > "M"}.get(request["model"], False)
    return "Atlantis" if wrong else capital


class World:
    """A home with two registered adapters, a suite of forty questions to a model, and the model's server."""

    def __init__(self, home: Path, call, url: str, monkeypatch) -> None:
        self.home, self._call = home, call
        put_schema(home / "var" / "assay.db")
        self.suite = home / "capitals.yaml"
        lines = [
            {"id": f"c{n}", "question": f"What is the capital of {country} {n}", "answer": capital}
            for n in range(40)
            for country, capital in [CAPITALS[n % len(CAPITALS)]]
        ]
        (home / "capitals.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.write()
        for version in "123":
            make_adapter(home / "var" / "registered" / f"support@{version}", version.encode())
        FolderRegistry(home / "var" / "registered").set_alias("support", "challenger", "2")
        monkeypatch.setenv("ASSAY_LLM__MODEL", "base")
        monkeypatch.setenv("ASSAY_LLM__BASE_URL", url)

    def write(self, **changes) -> None:
        body = {
            "name": "capitals",
            "dataset": {"path": "capitals.jsonl"},
            "target": {"kind": "model"},
            "scorers": ["exact_match"],
            "gates": [{"metric": "exact_match", "margin": 0.2}],
        }
        self.suite.write_text(yaml.safe_dump(body | changes))

    def gate(self, baseline: str, candidate: str, *more: object) -> Ran:
        return self._call("gate", self.suite, "--baseline", baseline, "--candidate", candidate, *more)

    def run(self, *words: object) -> Ran:
        return self._call(*words)


@pytest.fixture
def called(monkeypatch, capfd):
    """Any command in this process, in the home that ASSAY_HOME names."""
    for name in [name for name in os.environ if name.startswith("ASSAY_")]:
        monkeypatch.delenv(name)

    def call(*args: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["assay", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        captured = capfd.readouterr()
        return Ran(int(left.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def world(tmp_path, called, monkeypatch):
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    with fake_openai(replies=knows) as server:
        found = World(tmp_path, called, server.url, monkeypatch)
        found.server = server
        yield found


def test_help_ends_with_an_example_and_names_the_exit_codes(called, tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    text = called("gate", "--help").out
    assert ends_with_example(text, "gate")
    assert "Exit 0 pass, 1 fail, 2 wrong use, 3 inconclusive, 4 infrastructure" in " ".join(text.split())
    assert gate_app.registered_commands


@pytest.mark.parametrize(
    ("baseline", "candidate", "code", "word"),
    [
        ("adapter:support@1", "adapter:support@2", 0, "PASS"),
        ("adapter:support@1", "adapter:support@3", 1, "FAIL"),
        ("adapter:support@1", "current", 1, "FAIL"),
        ("current", "adapter:support@challenger", 0, "PASS"),
    ],
)
@pytest.mark.slow
def test_an_adapter_is_judged_and_word_and_exit_code_agree(world, baseline, candidate, code, word):
    ran = world.gate(baseline, candidate)
    assert ran.code == code
    assert ran.out.startswith(f"## {word}: capitals, {candidate} against {baseline}\n")
    assert ran.out.rstrip().endswith(f"{word}: capitals, {candidate} against {baseline}")
    assert "can find: exact_match: 40 samples in 40 clusters" in ran.err


@pytest.mark.slow
def test_a_passing_verdict_lets_a_rollout_promote_and_a_failing_one_does_not(world):
    world.gate("adapter:support@1", "adapter:support@3")
    assert world.run("rollout", "start", "support@3", "--stage", "canary").code == 1
    assert "verdict vdct_" in world.gate("adapter:support@1", "adapter:support@2").err
    assert world.run("rollout", "start", "support@2", "--stage", "canary").code == 0


@pytest.mark.slow
def test_a_verdict_and_both_runs_are_kept_in_numbers_for_the_dashboard(world, tmp_path):
    told = world.gate("adapter:support@1", "adapter:support@3", "--json").json["report"]
    database = Database(f"sqlite:///{tmp_path / 'var' / 'assay.db'}")
    (line,) = GateHistory(database).lines(GateQuery(), 9)
    assert (line.suite, line.conclusion, line.candidate) == ("capitals", "fail", "adapter:support@3")
    kept, runs = GateHistory(database).get(line.id), RunHistory(database)
    assert kept.gates[0].difference == told["gates"][0]["difference"]
    for arm, ref in ((kept.candidate, "adapter:support@3"), (kept.baseline, "adapter:support@1")):
        assert runs.line(arm.run_id).ref == ref
        assert [one.metric for one in runs.metrics(arm.run_id)] == ["exact_match"]
        assert len(runs.values(arm.run_id).cases) == told["n_asked"]
    database.close()


@pytest.mark.slow
def test_too_few_samples_are_inconclusive_and_a_model_that_is_down_is_infrastructure(world):
    world.write(gates=[{"metric": "exact_match", "margin": 0.01}])
    ran = world.gate("adapter:support@1", "adapter:support@2")
    assert (ran.code, ran.out.split(":")[0]) == (3, "## INCONCLUSIVE")
    world.server.status = 500
    ran = world.gate("adapter:support@1", "adapter:support@2", "--fresh")
    assert (ran.code, ran.out.split(":")[0]) == (4, "## INFRASTRUCTURE")
    assert "verdict" not in ran.err.replace("verdict is settled", "")


@pytest.mark.slow
def test_every_report_is_written_and_says_the_same(world, tmp_path):
    paths = {name: tmp_path / f"gate.{name}" for name in ("markdown", "junit", "sarif", "report")}
    options = [part for name, path in paths.items() for part in (f"--{name}", path)]
    ran = world.gate("adapter:support@1", "adapter:support@3", "--json", *options)
    told = ran.json
    assert ran.code == told["exit_code"] == json.loads(paths["report"].read_text())["exit_code"] == 1
    assert paths["markdown"].read_text().startswith("## FAIL")
    assert 'value="fail"' in paths["junit"].read_text()
    (run,) = json.loads(paths["sarif"].read_text())["runs"]
    assert run["invocations"][0]["exitCode"] == 1


@pytest.mark.slow
def test_a_report_that_cannot_be_written_is_wrong_use_before_anything_is_asked(world, tmp_path):
    n_asked = len(world.server.requests)
    ran = world.gate("adapter:support@1", "adapter:support@3", "--junit", tmp_path / "nowhere" / "gate.xml")
    assert ran.code == 2
    assert "no folder" in ran.err
    assert len(world.server.requests) == n_asked


@pytest.mark.slow
def test_both_sides_are_kept_as_runs_and_a_run_can_be_the_baseline(world):
    first = world.gate("adapter:support@1", "adapter:support@2", "--all", "--json").json["report"]
    n_asked = len(world.server.requests)
    again = world.gate(f"run:{first['baseline']['run_id']}", f"run:{first['candidate']['run_id']}", "--json")
    assert again.code == 0
    assert len(world.server.requests) == n_asked
    assert again.json["report"]["baseline"]["n_cached"] > 0


@pytest.mark.slow
def test_a_run_that_was_stopped_early_cannot_be_compared_again(world):
    early = world.gate("adapter:support@1", "current", "--json").json
    assert early["is_stopped_early"]
    ran = world.gate(f"run:{early['report']['baseline']['run_id']}", "current")
    assert ran.code == 2
    assert "stopped early" in ran.err
    listed = world.run("eval", "list", "capitals", "--json").json["runs"]
    assert {run["status"] for run in listed} == {"stopped"}


@pytest.mark.slow
def test_unchanged_cases_cost_nothing_the_second_time(world):
    world.gate("adapter:support@1", "adapter:support@2", "--all")
    n_asked = len(world.server.requests)
    report = world.gate("adapter:support@1", "adapter:support@2", "--all", "--json").json["report"]
    assert len(world.server.requests) == n_asked
    assert report["candidate"]["n_cached"] == 40


@pytest.mark.slow
def test_a_plan_asks_nothing(world):
    ran = world.gate("adapter:support@1", "adapter:support@2", "--plan")
    assert ran.code == 0
    assert "an unchanged candidate passes with 100%" in ran.out
    assert not [request for request in world.server.requests if "messages" in request]


@pytest.mark.parametrize(
    ("baseline", "candidate", "told"),
    [
        ("champion", "current", "A REF is one of: current"),
        ("run:nosuch", "current", "no run"),
        ("git:no-such-revision", "current", "git rev-parse failed"),
        ("prompt:answer@1", "current", "cannot matter: the suite capitals calls a model"),
        ("adapter:support@9", "current", "no registered version"),
        ("settings:llm.temprature=1", "current", "temprature"),
        ("settings:llm", "current", "is no setting"),
        ("current", "adapter:support@1", "has no gates"),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_compared_is_wrong_use_with_a_next_step(world, baseline, candidate, told):
    if told == "has no gates":
        world.write(gates=[])
    ran = world.gate(baseline, candidate)
    assert (ran.code, ran.out) == (2, "")
    assert told.lower() in ran.err.lower()


@pytest.mark.slow
def test_two_names_of_one_version_are_wrong_use_and_the_same_name_twice_is_not(world):
    ran = world.gate("adapter:support@2", "adapter:support@challenger")
    assert ran.code == 2
    assert "the same version" in ran.err
    assert world.gate("adapter:support@2", "adapter:support@2").code == 0


@pytest.mark.slow
def test_other_settings_are_another_version(world):
    report = world.gate("current", "settings:llm.model=support@1", "--json").json["report"]
    assert report["conclusion"] == "pass"
    assert report["gates"][0]["difference"] > 0.5


@pytest.mark.slow
def test_another_revision_runs_in_a_worktree_of_its_own_and_leaves_nothing_behind(world):
    """HEAD, with the suite and the samples as they are here."""
    listed = ["git", "-C", str(ROOT), "worktree", "list", "--porcelain"]
    before = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    report = world.gate("git:HEAD", "settings:llm.model=support@1", "--json").json["report"]
    assert report["conclusion"] == "pass"
    assert report["baseline"]["n_rows"] == report["candidate"]["n_rows"] > 0
    assert subprocess.run(listed, capture_output=True, text=True, check=True).stdout == before


# -- the handbook: what the gate must show


HARMLESS = [
    (
        "You answer questions from the sources you are given, and from nothing else.",
        "Answer from the given sources alone.",
    ),
    ("- Say only what the sources say.", "- Stay with the sources: say what they say, no more."),
]
HARMFUL = [
    ("You answer questions from the sources you are given, and from nothing else.", "Answer shortly, from memory."),
]


@pytest.fixture(scope="module")
def sample_home(tmp_path_factory) -> Path:
    return lend_graphs(tmp_path_factory.mktemp("gated"))


@pytest.fixture
def handbook(sample_home, called, monkeypatch, tmp_path):
    """`handbook(edits)` gates an edited prompt on the handbook suite, with a model that obeys its prompt.

    The reranker reads little: no prompt changes what is found.
    """
    monkeypatch.setenv("ASSAY_HOME", str(sample_home))
    monkeypatch.setenv("ASSAY_SEARCH__READS", "2")

    def gated(edits: list[tuple[str, str]], *more: object) -> Ran:
        text = (ROOT / "prompts/templates/answer@1.md").read_text().replace("version: 1", "version: 2")
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "answer@2.md").write_text(text)
        with fake_openai(replies=obedient) as server:
            monkeypatch.setenv("ASSAY_LLM__MODEL", "obedient")
            monkeypatch.setenv("ASSAY_LLM__BASE_URL", server.url)
            refs = ("--baseline", "prompt:answer@1", "--candidate", tmp_path / "answer@2.md")
            return called("gate", "handbook", *refs, *more)

    return gated


@pytest.mark.slow
def test_a_prompt_edit_that_makes_answers_worse_fails_with_a_readable_report(handbook, tmp_path):
    ran = handbook(HARMFUL, "--all", "--markdown", tmp_path / "gate.md")
    assert ran.code == 1
    text = (tmp_path / "gate.md").read_text()
    assert text.startswith("## FAIL: handbook")
    assert "worse by" in text
    assert "### Worst cases" in text
    assert "It is forty-two, as everybody knows" in text or "I don't know" in text


@pytest.mark.slow
def test_a_harmless_rewording_never_fails(handbook):
    ran = handbook(HARMLESS, "--json")
    report = ran.json["report"]
    assert ran.code in (0, 3)
    assert all(gate["outcome"] != "fail" for gate in report["gates"])
    assert all(abs(gate["difference"]) < 0.02 for gate in report["gates"])


@pytest.mark.slow
def test_a_prompt_cannot_matter_where_no_model_is_configured(called, sample_home, monkeypatch):
    monkeypatch.setenv("ASSAY_HOME", str(sample_home))
    ran = called("gate", "handbook", "--baseline", "current", "--candidate", "prompt:answer@1")
    assert ran.code == 2
    assert "the extractive answerer uses no prompt" in ran.err
    assert "ASSAY_LLM__MODEL" in ran.err
