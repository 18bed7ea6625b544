import json

import ir_measures
import pytest
from ir_measures import RR, R, nDCG
from typer.testing import CliRunner

from app.commands.eval import app
from data.errors import InvalidInput

pytestmark = pytest.mark.slow  # ingests collections through the real encoder

TOPICS = {
    "tea": "Tea is free in every kitchen, and the kettle is emptied at night.",
    "leave": "Parents get eighty days of leave, to be taken before the child is two.",
    "vans": "A van is booked through the field desk; fuel is paid by card.",
    "audit": "The audit of the laboratory takes place in March.",
    "twin": "Tea is free in every kitchen, and the kettle is emptied at night.",
}
QUESTIONS = {
    "q1": "who pays the fuel of a van",
    "q2": "days of parental leave",
    "q3": "free tea",
    "q4": "when is the audit",
}
GRADES = {"q1": {"vans": 1}, "q2": {"leave": 2, "audit": 1}, "q3": {"tea": 1, "twin": 1}, "q4": {"audit": 1}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two dozen documents; one of them is long and has many chunks that match "leave"."""
    where = tmp_path_factory.mktemp("beir")
    filler = {f"f{n}": f"Instrument {n} is calibrated at {n} degrees by bench {n % 5}." for n in range(20)}
    long = {
        "handbook": "\n\n".join(f"## Part {n}\n\nOn leave. " + "Much is said here of leave. " * 40 for n in range(12))
    }
    corpus = [{"_id": i, "title": "", "text": text} for i, text in (TOPICS | filler | long).items()]
    corpus.append({"_id": "empty", "title": "A title without text", "text": ""})
    (where / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    queries = [{"_id": i, "text": text} for i, text in QUESTIONS.items()]
    (where / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    lines = [f"{q}\t{d}\t{g}\n" for q, grades in GRADES.items() for d, g in grades.items()]
    (where / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    return where


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")

    def invoke(*words):
        done = CliRunner().invoke(app, ["retrieval", *map(str, words)], env={"ASSAY_HOME": str(home)})
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    invoke.home = home
    return invoke


def test_the_printed_measures_are_those_of_ir_measures(run, folder, tmp_path):
    found = json.loads(run("--beir", folder, "--mode", "all", "--rows", tmp_path / "rows.jsonl", "--json"))
    assert (found["n_documents"], found["n_queries"]) == (27, 4)
    assert found["n_chunks"] > 27, "the handbook has several chunks"
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    for mode, measures in found["modes"].items():
        ranked = {row["query_id"]: row["found"] for row in rows if row["mode"] == mode}
        scored = {q: {d: -float(n) for n, d in enumerate(documents)} for q, documents in ranked.items()}
        theirs = ir_measures.calc_aggregate([nDCG @ 10, R @ 10, RR @ 10], GRADES, scored)
        assert measures["ndcg_at_10"] == pytest.approx(theirs[nDCG @ 10], abs=1e-5)
        assert measures["recall_at_10"] == pytest.approx(theirs[R @ 10], abs=1e-5)
        assert measures["mrr_at_10"] == pytest.approx(theirs[RR @ 10], abs=1e-5)
        assert 0 < measures["latency_p50_ms"] <= measures["latency_p95_ms"]
    assert found["modes"]["hybrid"]["ndcg_at_10"] > 0.9
    assert found["hybrid_against_better_part"]["part"] in {"lexical", "dense"}


def test_a_ranking_holds_ten_different_documents_though_one_document_has_many_chunks(run, folder, tmp_path):
    run("--beir", folder, "--mode", "dense", "--rows", tmp_path / "rows.jsonl", "--json")
    for line in (tmp_path / "rows.jsonl").read_text().splitlines():
        found = json.loads(line)["found"]
        assert len(found) == len(set(found)) == 10


def test_documents_of_one_text_are_all_found(run, folder, tmp_path):
    run("--beir", folder, "--mode", "lexical", "--rows", tmp_path / "rows.jsonl", "--json")
    rows = {row["query_id"]: row for row in map(json.loads, (tmp_path / "rows.jsonl").read_text().splitlines())}
    assert set(rows["q3"]["found"][:2]) == {"tea", "twin"}


def test_a_second_run_finds_the_store_of_the_first_and_says_the_same(run, folder):
    first = json.loads(run("--beir", folder, "--json"))
    stores = sorted((run.home / "var" / "eval").iterdir())
    second = json.loads(run("--beir", folder, "--json"))
    assert sorted((run.home / "var" / "eval").iterdir()) == stores
    assert first["mode"] == "hybrid"
    kept = {"mode", "snapshot", "ndcg_at_10", "recall_at_10", "mrr_at_10"}
    assert {k: first[k] for k in kept} == {k: second[k] for k in kept}


def test_a_sample_of_queries_is_the_same_for_the_same_seed(run, folder, tmp_path):
    def asked(seed):
        run("--beir", folder, "--queries", 2, "--seed", seed, "--rows", tmp_path / "rows.jsonl", "--json")
        return [json.loads(line)["query_id"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()]

    assert len(asked(1)) == 2
    assert asked(1) == asked(1)
    assert len({tuple(asked(seed)) for seed in (1, 2, 3)}) > 1


def test_the_table_for_people_names_each_mode(run, folder):
    shown = run("--beir", folder, "--mode", "all")
    assert all(word in shown for word in ("lexical", "dense", "hybrid", "nDCG@10", "p95 ms", "95 %"))


def test_a_folder_that_is_no_collection_is_refused_with_the_next_step(run, tmp_path):
    with pytest.raises(InvalidInput, match=r"neither corpus\.jsonl nor corpus\.jsonl\.gz"):
        run("--beir", tmp_path)


def test_the_store_is_never_the_users_database(run, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_DATABASE_URL", f"sqlite:///{tmp_path / 'mine.db'}")
    run("--beir", folder, "--json")
    assert not (tmp_path / "mine.db").exists()
