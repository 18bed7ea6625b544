"""ragas itself against a loopback server in OpenAI's shape."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pydantic import SecretStr

from data.errors import InvalidInput, MissingExtra
from data.records import Sample
from evals.config import JudgeConfig
from evals.runner import iter_rows, target_of
from evals.scorers.registry import Tool, Tools, build_scorer
from evals.suite import ScorerSpec, parse_suite
from tests.evals.observations import abstained, answered, hit
from tests.evals.scorers.fake_judge import fake_judge
from tests.vllm_server import BASE

SAMPLE = Sample(id="1", question="How long is the leave?", answer="The leave is 22 weeks.")
SEEN = answered("The leave is 22 weeks.", "It is unpaid.", hits=(hit("The leave is 22 weeks."), hit("Tea is free.")))
VERDICT = {"reason": "so it says"}
REPLIES = {
    "StatementGeneratorOutput": {"statements": ["The leave is 22 weeks.", "The leave is unpaid."]},
    "NLIStatementOutput": {
        "statements": [
            {"statement": "The leave is 22 weeks.", "verdict": 1, **VERDICT},
            {"statement": "The leave is unpaid.", "verdict": 0, **VERDICT},
        ]
    },
    "ContextPrecisionOutput": {"verdict": 1, **VERDICT},
    "ContextRecallOutput": {"classifications": [{"statement": "22 weeks", "attributed": 1, **VERDICT}]},
    "AnswerRelevanceOutput": {"question": "How long is the leave?", "noncommittal": 0},
}


def embed(texts):
    return np.asarray([[1.0, 0.0] if "leave" in text else [0.0, 1.0] for text in texts], np.float32)


def judging(fake, **config):
    judge = JudgeConfig(url=fake.url, model="judge", **config)
    return build_scorer(ScorerSpec(name="judged"), Tools(embed=embed, others={"judge": judge}))


def scores(scorer, sample=SAMPLE, seen=SEEN):
    try:
        return {score.scorer: score for score in scorer.score(sample, seen)}
    finally:
        scorer.close()


@pytest.mark.slow
def test_ragas_measures_what_the_judge_says():
    with fake_judge(REPLIES) as fake:
        found = scores(judging(fake, api_key=SecretStr("sk-judge")))
    assert found["judged_faithfulness"].value == 0.5
    assert found["judged_context_precision"].value == pytest.approx(1.0)
    assert found["judged_context_recall"].value == 1.0
    assert found["judged_relevancy"].value == pytest.approx(1.0)
    assert fake.keys == {"Bearer sk-judge"}


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.parametrize("bound", [True, False])
def test_ragas_asks_a_real_vllm_and_what_a_toy_says_is_a_share_or_an_error(real_vllm, bound):
    """A toy decoder judges nothing well. Bound to the schemas it is read all the same; unbound it rambles, and that is an error."""
    judge = JudgeConfig(url=real_vllm.url, model=BASE, api_key=SecretStr(real_vllm.key), max_tokens=300, bound=bound)
    found = scores(build_scorer(ScorerSpec(name="judged"), Tools(embed=embed, others={"judge": judge})))
    print({name: score.value if score.error == "" else score.error for name, score in found.items()})
    assert len(found) == 4
    assert all((0 <= score.value <= 1) if score.error == "" else score.value is None for score in found.values())


@pytest.mark.slow
def test_what_does_not_apply_is_neither_asked_nor_scored():
    with fake_judge(REPLIES) as fake:
        assert scores(judging(fake), seen=abstained()) == {}
        assert fake.n_requests == 0
        found = scores(judging(fake), sample=Sample(id="1", question="?", answerable=False), seen=SEEN)
    assert set(found) == {"judged_faithfulness", "judged_relevancy"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        ({"says": "I think it is fine."}, "cannot be read"),
        ({"replies": REPLIES | {"StatementGeneratorOutput": {"statements": []}}}, "no number"),
        ({"ended": "length"}, "cut after 2048 tokens"),
        ({"status": 400}, "refused"),
        ({"hangs": True}, "longer than 0.5 s"),
    ],
)
def test_a_judge_that_fails_is_an_error_and_never_a_number(behaviour, told):
    with fake_judge(behaviour.pop("replies", REPLIES), **behaviour) as fake:
        found = scores(judging(fake, timeout_s=0.5 if "hangs" in behaviour else 20, api_key=SecretStr("sk-secret")))
    score = found["judged_faithfulness"]
    assert score.value is None
    assert told in score.error
    assert "sk-secret" not in score.error


@pytest.mark.slow
def test_a_server_that_is_not_there_is_told_with_its_address():
    with fake_judge(REPLIES) as fake:
        scorer = judging(fake)
    score = scores(scorer)["judged_faithfulness"]
    assert score.error == f"the judge at {fake.url} cannot be reached"


@pytest.mark.slow
def test_callers_in_many_threads_share_the_slots():
    with fake_judge(REPLIES) as fake:
        scorer = judging(fake, concurrency=3)
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(lambda _: {s.scorer: s.value for s in scorer.score(SAMPLE, SEEN)}, range(6)))
        scorer.close()
    assert all(one == found[0] for one in found)
    assert 1 < fake.n_at_once <= 3


@pytest.mark.slow
def test_the_local_and_the_judged_faithfulness_stand_on_the_same_row_and_an_error_is_no_number_there():
    local = build_scorer(
        ScorerSpec(name="faithfulness", options={"against": "retrieved"}),
        Tools(others={"supports": Tool("words", lambda pairs: [float(said in source) for source, said in pairs])}),
    )
    with fake_judge(REPLIES) as fake:
        judge = judging(fake)
        (row,) = iter_rows(target_of(lambda sample: SEEN), [local, judge], [SAMPLE])
        fake.says = "no"
        (broken,) = iter_rows(target_of(lambda sample: SEEN), [local, judge], [SAMPLE])
        judge.close()
    values = {score.scorer: score.value for score in row.scores}
    assert (values["faithfulness"], values["judged_faithfulness"]) == (0.5, 0.5)
    errors = {score.scorer: score.error for score in broken.scores}
    assert errors["faithfulness"] == ""
    assert "cannot be read" in errors["judged_faithfulness"]


def test_a_judge_in_the_settings_adds_both_kinds_of_faithfulness_to_suites_over_documents():
    from app.evaluation import with_judge
    from app.settings import Settings
    from evals.config import EvalsConfig

    given = {"name": "mine", "dataset": {"path": "x"}, "scorers": ["usage"]}
    settings = Settings(evals=EvalsConfig(judge=JudgeConfig(url="http://127.0.0.1:1/v1", model="judge")))
    suite = parse_suite(given | {"target": {"kind": "rag"}})
    assert [s.name for s in with_judge(suite, settings).scorers] == ["usage", "faithfulness", "judged"]
    assert with_judge(suite, Settings()) == suite
    other = parse_suite(given | {"target": {"kind": "model"}})
    assert with_judge(other, settings) == other


def test_without_a_judge_the_scorer_says_what_is_missing():
    with pytest.raises(InvalidInput, match="'judge'"):
        build_scorer(ScorerSpec(name="judged"), Tools())


def test_without_ragas_the_message_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ragas", None)
    monkeypatch.delitem(sys.modules, "evals.scorers.judged", raising=False)
    judge = JudgeConfig(url="http://127.0.0.1:1/v1", model="judge")
    with pytest.raises(MissingExtra, match=r"'ragas'.*'\.\[evals\]'"):
        build_scorer(ScorerSpec(name="judged"), Tools(others={"judge": judge}))


def test_a_url_without_a_model_is_refused():
    with pytest.raises(ValueError, match="model is empty"):
        JudgeConfig(url="http://127.0.0.1:1/v1")


@pytest.mark.slow
def test_the_judge_can_be_asked_without_an_event_loop():
    from pydantic import BaseModel

    class ContextPrecisionOutput(BaseModel):
        verdict: int

    with fake_judge(REPLIES) as fake:
        scorer = judging(fake)
        found = scorer._faithfulness.llm.generate("Is it so?", ContextPrecisionOutput)
        scorer.close()
    assert found.verdict == 1
