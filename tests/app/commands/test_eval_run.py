import json
import sys

import pytest
import yaml

pytestmark = pytest.mark.slow  # loads the real encoder

QUESTIONS = [
    {
        "id": "leave",
        "question": "How many weeks of parental leave may parents take?",
        "answer": "twenty-two weeks",
        "citations": [["leave.md", "twenty-two weeks of parental leave"]],
    },
    {
        "id": "tea",
        "question": "Is tea free?",
        "answer": "Tea is free.",
        "citations": [["tea.md", "Tea is free in every kitchen"]],
    },
    {"id": "boat", "question": "Who steers the boat to Kiel?", "answerable": False},
]


@pytest.fixture
def suite(tmp_path):
    def write(**fields):
        given = {
            "name": "tiny",
            "dataset": {"path": "questions.jsonl"},
            "target": {"kind": "rag"},
            "scorers": ["retrieval", "token_f1", "citations", "abstention", "usage"],
            "gates": [{"metric": "token_recall", "margin": 0.1}],
        } | fields
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(given), "utf-8")
        (tmp_path / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS), "utf-8")
        return tmp_path / "tiny.yaml"

    return write


def test_a_suite_runs_is_listed_and_shown_and_costs_nothing_the_second_time(run, suite):
    ran = run("eval", "run", suite(), "--json", "--no-track")
    assert ran.code == 0, ran.err
    facts = ran.json
    assert (facts["n_rows"], facts["n_cached"], facts["n_failed"]) == (3, 0, 0)
    assert facts["metrics"]["citation_recall"] | {"low": 0, "high": 0} == {
        "mean": 1.0,
        "low": 0,
        "high": 0,
        "n": 2,
        "n_clusters": 2,
        "n_errors": 0,
        "higher_is_better": True,
        "unit": "",
    }
    assert facts["metrics"]["laundered"]["mean"] == 0.0
    assert facts["selective"]["correct_by"] == "citation_recall"
    assert facts["mlflow_run"] is None
    again = run("eval", "run", suite(), "--json", "--no-track").json
    assert again["n_cached"] == 3
    assert run("eval", "run", suite(), "--json", "--no-track", "--fresh").json["n_cached"] == 0
    listed = run("eval", "list", "tiny", "--json").json
    assert [one["status"] for one in listed["runs"]] == ["complete"] * 3
    assert "handbook" in [one["name"] for one in listed["suites"]]
    shown = run("eval", "show", facts["run"], "--json", "--worst", "1").json
    assert shown["ranked_by"] == "token_recall"
    assert shown["rows"][0]["question"] in [q["question"] for q in QUESTIONS]
    assert len(run("eval", "show", "tiny", "--rows", "--json").json["rows"]) == 3


def test_people_see_a_table_with_what_it_cost_and_where_to_look(run, suite):
    out = run("eval", "run", suite(), "--no-track").out
    for part in ("token_f1", "latency_ms (less is better)", "3 rows in", "0 failed", "assay eval show run_"):
        assert part in out
    shown = run("eval", "show", "tiny").out
    assert "Worst by token_recall" in shown
    assert "How many weeks" in shown
    assert "tiny" in run("eval", "list").out


def test_a_chat_target_without_a_model_is_wrong_use_and_nothing_is_kept(run, suite):
    ran = run("eval", "run", suite(target={"kind": "model"}))
    assert ran.code == 2
    assert "ASSAY_LLM__MODEL" in ran.err
    assert run("eval", "list", "--json").json["runs"] == []


def test_a_run_in_which_every_case_failed_exits_with_4(run, suite):
    ran = run(
        "eval",
        "run",
        suite(target={"kind": "url", "url": "http://127.0.0.1:9/v1", "model": "m"}),
        "--no-track",
        "--json",
    )
    assert ran.code == 4
    assert ran.json["n_failed"] == 3
    assert all(m["mean"] is None and m["n_errors"] == 3 for m in ran.json["metrics"].values())
    assert ran.json["status"] == "failed"


def test_erasing_a_document_takes_its_words_out_of_runs_and_cache(run, suite, home):
    run("eval", "run", suite(), "--no-track")
    leave = next(d["id"] for d in run("documents", "list", "--json").json["data"] if d["uri"].endswith("leave.md"))
    erased = run("erase", leave, "--json", "--certificate", home / "erased.json")
    assert erased.code == 0, erased.err
    assert all(probe["found"] == 0 for probe in erased.json["probes"])
    rows = run("eval", "show", "tiny", "--rows", "--json").json["rows"]
    assert "twenty-two weeks of" not in json.dumps(rows)
    assert [s["value"] for r in rows if r["sample_id"] == "leave" for s in r["scores"] if s["scorer"] == "token_recall"]


def test_without_mlflow_a_run_says_how_to_get_it_and_goes_on(run, suite, monkeypatch):
    monkeypatch.delitem(sys.modules, "evals.tracking", raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", None)  # Python's own way of saying that a module is not there
    ran = run("eval", "run", suite(), "--json")
    assert ran.code == 0
    assert "not logged to MLflow" in ran.err
    assert "[evals]" in ran.err
    assert ran.json["mlflow_run"] is None
    insisted = run("eval", "run", suite(), "--track")
    assert insisted.code == 2
    assert "mlflow" in insisted.err


@pytest.mark.filterwarnings("ignore")  # MLflow's own, of SQLAlchemy's future
def test_the_run_is_logged_to_mlflow_without_a_document_s_words(run, suite, home):
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    found = run("eval", "run", suite(), "--track", "--json").json
    client = MlflowClient(tracking_uri=f"sqlite:///{home}/var/mlflow.db")
    logged = client.get_run(found["mlflow_run"])
    assert logged.data.metrics["token_recall"] == pytest.approx(found["metrics"]["token_recall"]["mean"])
    assert logged.data.metrics["n_rows"] == 3
    assert logged.data.tags["assay.run"] == found["run"]
    scores = (home / "var" / "mlartifacts" / logged.info.run_id / "artifacts" / "scores.jsonl").read_text()
    assert "twenty" not in scores
    assert json.loads(scores.splitlines()[0])["sample"] == "leave"
