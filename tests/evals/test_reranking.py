import pytest

from data.errors import InvalidInput
from evals.reranking import compare
from evals.retrieval import CorpusDocument, JudgedCollection, evaluate

COLLECTION = JudgedCollection(
    "small",
    tuple(CorpusDocument(name, "", name) for name in "abc"),
    {"q1": "first", "q2": "second"},
    {"q1": {"a": 1}, "q2": {"b": 1}},
)


def report(**orders: str):
    return evaluate(COLLECTION, lambda question, k: list(orders[question]))


def test_both_orders_are_compared_query_by_query():
    before, after = report(first="ba", second="ba"), report(first="ab", second="cb")
    found = compare(before, after, [10.0, 20.0, 90.0])
    lost = 1 / 1.584963  # a relevant document at rank 2
    assert found["hybrid"]["ndcg_at_10"] == pytest.approx((lost + 1) / 2, abs=1e-5)
    assert found["reranked"]["ndcg_at_10"] == pytest.approx((1 + lost) / 2, abs=1e-5)
    assert found["difference"]["ndcg_at_10"]["mean"] == pytest.approx(0, abs=1e-5)
    assert (found["better"], found["worse"]) == (1, 1)
    assert found["difference"]["mrr_at_10"]["interval_95"] == [-0.5, 0.5]
    assert (found["rerank_p50_ms"], found["rerank_p95_ms"]) == (20.0, 83.0)


def test_a_gain_on_every_query_has_an_interval_above_zero():
    found = compare(report(first="ba", second="ab"), report(first="ab", second="ba"), [1.0])
    assert found["difference"]["ndcg_at_10"]["interval_95"][0] > 0.3
    assert found["better"] == 2


def test_orders_of_different_queries_are_refused():
    one = report(first="ab", second="ba")
    other = one.model_copy(update={"rows": one.rows[:1]})
    with pytest.raises(InvalidInput, match="different queries"):
        compare(one, other, [1.0])
