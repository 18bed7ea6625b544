"""`assay eval rerank` over a small collection, with an adapter of the shipped encoder that learned nothing."""

import json

import pytest

from tests.app.commands.test_eval import GRADES, QUESTIONS, TOPICS
from tests.app.commands.test_eval_heads import write_untrained

pytestmark = pytest.mark.slow  # ingests a collection through the real encoder


@pytest.fixture
def folder(tmp_path):
    corpus = [{"_id": i, "title": "", "text": text} for i, text in TOPICS.items()]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    (tmp_path / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": i, "text": q}) + "\n" for i, q in QUESTIONS.items())
    )
    lines = [f"{q}\t{d}\t{g}\n" for q, grades in GRADES.items() for d, g in grades.items()]
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    return tmp_path


def test_both_orders_are_measured_on_the_same_queries_with_interval_and_latency(run, folder, monkeypatch, tmp_path):
    write_untrained(tmp_path / "adapters" / "reranker", "reranker", "mean")
    monkeypatch.setenv("ASSAY_HEADS__FOLDER", str(tmp_path / "adapters"))
    ran = run("eval", "rerank", "--beir", folder, "--json", "--rows", tmp_path / "rows.jsonl")
    assert ran.code == 0, ran.err
    found = ran.json
    assert (found["n_documents"], found["n_queries"], found["n_reranked"]) == (5, 4, 50)
    assert found["reranker"].startswith("reranker@")
    gained = found["reranked"]["ndcg_at_10"] - found["hybrid"]["ndcg_at_10"]
    assert found["difference"]["ndcg_at_10"]["mean"] == pytest.approx(gained, abs=1e-4)
    low, high = found["difference"]["ndcg_at_10"]["interval_95"]
    assert low <= gained <= high + 1e-4
    assert 0 < found["rerank_p50_ms"] <= found["rerank_p95_ms"]
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["mode"] for row in rows] == ["hybrid"] * 4 + ["reranked"] * 4
    assert all(len(row["found"]) == len(set(row["found"])) == 5 for row in rows)
    told = run("eval", "rerank", "--beir", folder)
    assert "reranked - hybrid" in told.out


def test_without_an_adapter_there_is_nothing_to_measure_and_it_is_said(run, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("ASSAY_HEADS__FOLDER", str(tmp_path / "none"))
    ran = run("eval", "rerank", "--beir", folder, "--json")
    assert ran.code == 2
    assert "no reranker" in ran.err
