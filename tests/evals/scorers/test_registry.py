import pytest

from data.errors import InvalidInput
from evals.scorers.registry import Tool, Tools, build_scorers
from evals.suite import parse_suite

TOOLS = Tools(**{name: Tool(f"{name}@7", lambda *_: []) for name in ("embed", "entails", "toxicity", "injection")})


def suite(*scorers, gates=()):
    return parse_suite(
        {
            "name": "mine",
            "dataset": {"path": "x.jsonl"},
            "target": {"kind": "rag"},
            "scorers": list(scorers),
            "gates": list(gates),
        }
    )


def test_scorers_get_their_options():
    found = build_scorers(suite({"name": "retrieval", "k": 3}, {"name": "citations", "support": 0.7}), TOOLS)
    assert "k=3" in found[0].id
    assert "0.7" in found[1].id


def test_the_id_of_a_scorer_names_the_model_it_asks():
    assert "embed@7" in build_scorers(suite("similarity"), TOOLS)[0].id


def test_everything_wrong_with_the_scorers_is_told_at_once():
    with pytest.raises(InvalidInput) as told:
        build_scorers(suite("tokenf1", {"name": "retrieval", "n": 3}, {"name": "citations", "support": "much"}), TOOLS)
    for part in ("no scorer 'tokenf1'", "token_f1", "no option n; it takes k", "support", "'much'"):
        assert part in str(told.value)


def test_a_scorer_without_its_model_says_so_before_anything_is_spent():
    with pytest.raises(InvalidInput, match="similarity needs the tool 'embed'"):
        build_scorers(suite("similarity"), Tools())


def test_a_gate_needs_a_metric_that_some_scorer_gives():
    with pytest.raises(InvalidInput, match="token_f1"):
        build_scorers(suite("token_f1", gates=[{"metric": "tokenf1", "margin": 0.1}]), TOOLS)


def test_a_scorer_named_twice_would_give_a_metric_twice():
    with pytest.raises(InvalidInput, match="Two scorers give"):
        build_scorers(suite("token_f1", "token_f1"), TOOLS)


MODEL_FREE = ["retrieval", "context", "exact_match", "token_f1", "rouge_l", "citations", "abstention", "usage"]


@pytest.mark.parametrize("name", MODEL_FREE)
def test_these_scorers_need_no_model(name):
    (one,) = build_scorers(suite(name), Tools())
    assert "@" in one.id
    assert one.metrics


def test_metrics_of_all_scorers_have_different_names():
    built = build_scorers(suite(*MODEL_FREE, "similarity"), TOOLS)
    names = [metric.name for one in built for metric in one.metrics]
    assert len(names) == len(set(names)) >= 15
