import gzip
import json
import math
import random

import ir_measures
import pytest
from ir_measures import RR, R, nDCG

from data.errors import InvalidInput
from evals.retrieval import (
    evaluate,
    load_collection,
    ndcg,
    paired_difference,
    recall,
    reciprocal_rank,
    sampled,
    squad_to_beir,
)


def written(folder, corpus, queries, qrels, zipped=False):
    for name, rows in (("corpus", corpus), ("queries", queries)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        if zipped:
            (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (folder / f"{name}.jsonl").write_text(text)
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(f"{q}\t{d}\t{g}\n" for q, d, g in qrels))
    return folder


CORPUS = [
    {"_id": "a", "title": "A", "text": "first"},
    {"_id": "b", "text": "second"},
    {"_id": "c", "text": "third"},
]
QUERIES = [{"_id": "q1", "text": "one"}, {"_id": "q2", "text": "two"}, {"_id": "q3", "text": "unjudged"}]
QRELS = [("q1", "a", 2), ("q1", "c", 1), ("q2", "b", 1), ("q3", "a", 0)]


def test_measures_worked_by_hand():
    grades = {"a": 2, "c": 1}
    assert ndcg(["c", "b", "a"], grades) == pytest.approx((1 + 2 / 2) / (2 + 1 / math.log2(3)))
    assert recall(["b", "c"], grades) == 0.5
    assert reciprocal_rank(["b", "c"], grades) == 0.5
    assert ndcg(["b"], grades) == recall([], grades) == reciprocal_rank(["b"], grades) == 0
    assert ndcg(["a", "a", "c"], grades) == 1, "a document that is named twice counts once"


def test_measures_agree_with_ir_measures_on_random_rankings():
    draw = random.Random(0)
    documents = [f"d{i}" for i in range(40)]
    for _ in range(200):
        grades = {d: draw.randint(0, 3) for d in draw.sample(documents, draw.randint(1, 30))} | {"d0": 1}
        found = draw.sample(documents, draw.randint(1, 10))
        run = {"q": {d: float(-rank) for rank, d in enumerate(found)}}
        theirs = ir_measures.calc_aggregate([nDCG @ 10, R @ 10, RR @ 10], {"q": grades}, run)
        assert ndcg(found, grades) == pytest.approx(theirs[nDCG @ 10])
        assert recall(found, grades) == pytest.approx(theirs[R @ 10])
        assert reciprocal_rank(found, grades) == pytest.approx(theirs[RR @ 10])


@pytest.mark.parametrize("zipped", [False, True])
def test_a_collection_is_read_and_measured(tmp_path, zipped):
    collection = load_collection(written(tmp_path, CORPUS, QUERIES, QRELS, zipped))
    assert [d.title for d in collection.documents] == ["A", "", ""]
    assert list(collection.queries) == ["q1", "q2"], "q3 has no relevant document"
    asked = []

    def search(question, k):
        asked.append((question, k))
        return {"one": ["a", "c"], "two": ["a", "b"]}[question]

    heard = []
    report = evaluate(collection, search, heard.append)
    assert heard == [1, 2]
    assert asked == [("one", 10), ("two", 10)]
    assert report.ndcg_at_10 == pytest.approx((1 + 1 / math.log2(3)) / 2)
    assert (report.recall_at_10, report.mrr_at_10) == (1, 0.75)
    assert (report.n_documents, report.n_queries) == (3, 2)
    assert [row.reciprocal_rank for row in report.rows] == [1, 0.5]
    assert 0 <= report.latency_p50_ms <= report.latency_p95_ms
    assert report.measures()["ndcg_at_10"] == round(report.ndcg_at_10, 5)
    assert "rows" not in report.measures()


def test_a_sample_keeps_the_documents_and_is_fixed_by_its_seed(tmp_path):
    collection = load_collection(written(tmp_path, CORPUS, QUERIES, QRELS))
    one = sampled(collection, 1, seed=3)
    assert len(one.queries) == 1
    assert set(one.judgements) == set(one.queries)
    assert one.documents == collection.documents
    assert sampled(collection, 1, seed=3) == one
    assert {next(iter(sampled(collection, 1, seed).queries)) for seed in range(20)} == {"q1", "q2"}
    assert sampled(collection, 0) == sampled(collection, 9) == collection


def test_what_is_wrong_with_a_folder_is_said_with_file_and_line(tmp_path):
    with pytest.raises(InvalidInput, match=r"neither corpus\.jsonl"):
        load_collection(tmp_path)
    written(tmp_path, CORPUS, QUERIES, QRELS)
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1 a 1\n")
    with pytest.raises(InvalidInput, match=r"qrels\.tsv, line 2 is 'q1 a 1'"):
        load_collection(tmp_path)
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nelse\ta\t1\n")
    with pytest.raises(InvalidInput, match="0 judged queries"):
        load_collection(tmp_path)
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "text": "x"}\n{"_id": "b"}\n')
    with pytest.raises(InvalidInput, match=r"corpus\.jsonl, line 2 must be"):
        load_collection(tmp_path)
    (tmp_path / "corpus.jsonl").write_text("{\n")
    with pytest.raises(InvalidInput, match=r"corpus\.jsonl, line 1 is not JSON"):
        load_collection(tmp_path)


def test_a_difference_has_an_interval_around_its_mean():
    draw = random.Random(1)
    b = [draw.random() for _ in range(200)]
    a = [x + 0.1 + draw.gauss(0, 0.05) for x in b]
    difference = paired_difference(a, b)
    assert difference.low < 0.1 < difference.high
    assert difference.high - difference.low < 4 * 0.05 / math.sqrt(200) * 1.2
    assert paired_difference(a, b) == difference, "the same seed gives the same interval"
    assert paired_difference([1.0, 0.0], [1.0, 0.0]).high == 0
    with pytest.raises(InvalidInput, match="a has 1 values and b 2"):
        paired_difference([1.0], [1.0, 2.0])


def test_squad_rows_become_a_collection(tmp_path):
    rows = [
        {"id": "1", "context_id": "X-0", "context": "Kafé opens.", "question": "When?"},
        {"id": "2", "context_id": "X-0", "context": "Kafé opens.", "question": "What?"},
        {"id": "3", "context_id": "X-1", "context": "It closes.", "question": "Then?"},
    ]
    source = tmp_path / "v.jsonl.gz"
    source.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    collection = load_collection(squad_to_beir(source, tmp_path / "beir"))
    assert [(d.id, d.title, d.text) for d in collection.documents] == [
        ("X-0", "", "Kafé opens."),
        ("X-1", "", "It closes."),
    ]
    assert collection.queries == {"1": "When?", "2": "What?", "3": "Then?"}
    assert collection.judgements == {"1": {"X-0": 1}, "2": {"X-0": 1}, "3": {"X-1": 1}}


def test_the_shared_collections_load(shared_data):
    cisi = load_collection(shared_data / "retrieval_cisi")
    assert (len(cisi.documents), len(cisi.queries)) == (1460, 76)
    assert sum(len(j) for j in cisi.judgements.values()) == 3114
