from data.records import Usage
from evals.scorers.usage import UsageScorer
from tests.evals.making import answered, sample, values


def test_time_is_told_always_and_tokens_where_a_model_counted_them():
    seen = answered("x", latency_ms=12.5)
    assert values(UsageScorer().score(sample(), seen)) == {"latency_ms": 12.5}
    used = seen.answer.model_copy(update={"usage": Usage(prompt_tokens=100, completion_tokens=7)})
    seen = seen.model_copy(update={"answer": used})
    assert values(UsageScorer().score(sample(), seen)) == {
        "latency_ms": 12.5,
        "prompt_tokens": 100,
        "completion_tokens": 7,
    }
