from dataclasses import replace

import pytest
from langchain_core.language_models import FakeListChatModel

from app.eval_targets import prompt_of, rag_target, search_target
from app.guards import Guard
from app.rag import Rag
from app.screening import ScreeningConfig
from app.settings import Settings
from data.errors import InvalidInput, NotFound
from evals.runner import DictCache, iter_rows
from evals.suite import RagTarget, SearchTarget
from tests.app.answering_product import LEAVE, TEA, product, put, with_model
from tests.evals.making import sample

LONG = sample("leave", "How many weeks of parental leave may parents take?")
TEAS = sample("tea", "Is tea free in every kitchen?")
TEMPLATE = """---
name: answer
version: {version}
owner: test
description: For a test.
inputs: [fence, sources, question]
---
## system
{system} {{{{ fence }}}}

## user
{{{{ sources }}}}

Question: {{{{ question }}}}
"""


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    with product(tmp_path_factory.mktemp("filled")) as opened:
        put(opened, "leave.md", LEAVE)
        put(opened, "tea.md", TEA)
        yield opened


@pytest.fixture
def assay(filled):
    """The same documents for every test; its own model and policy for each."""
    before = filled.rag
    yield filled
    filled.rag = before


def rag(assay, settings, **spec):
    return rag_target(RagTarget(kind="rag", **spec), settings, assay)


class Replies(FakeListChatModel):
    """Counts how often it was asked."""

    n_asked: int = 0

    def _call(self, *args, **options):
        self.n_asked += 1
        return super()._call(*args, **options)


def test_the_whole_product_answers_with_hits_citations_and_confidence(assay, settings):
    seen = rag(assay, settings)(LONG)
    assert "twenty-two weeks" in seen.answer.text
    assert seen.answer.sentences[0].citations[0].chunk_id in {hit.chunk.id for hit in seen.hits}
    assert 0 < seen.confidence <= 1
    assert seen.latency_ms > 0
    assert not seen.error


def test_an_abstention_tells_how_unsure_it_was(assay, settings):
    seen = rag(assay, settings)(sample(question="Who won the regatta in Kiel?"))
    assert seen.answer.abstained
    assert seen.confidence < 0.1


def test_asking_leaves_no_receipt(assay, settings):
    rag(assay, settings)(LONG)
    with assay.stores.database.read() as connection:
        assert connection.exec_driver_sql("select count(*) from receipts").scalar_one() == 0


def test_another_document_changes_only_the_cases_that_find_it(settings, tmp_path):
    with product(tmp_path / "growing") as assay:
        put(assay, "leave.md", LEAVE)
        put(assay, "tea.md", TEA)
        searching = search_target(SearchTarget(kind="search"), assay).digest
        before = rag(assay, settings, k=1)
        digests = [before.case_digest(one) for one in (LONG, TEAS)]
        put(assay, "more-tea.md", "# Kitchen\n\nTea is free in every kitchen, cake is not. Tea is free.\n")
        assay.keeper.catch_up()
        after = rag(assay, settings, k=1)
        leave, tea = (after.case_digest(one) for one in (LONG, TEAS))
        assert leave == digests[0]
        assert tea != digests[1]
        assert after.digest != before.digest, "as a whole it is another target"
        assert search_target(SearchTarget(kind="search"), assay).digest != searching


def test_an_extractive_answer_does_not_depend_on_the_prompt(assay, settings, tmp_path):
    path = tmp_path / "answer@7.md"
    path.write_text(TEMPLATE.format(version=7, system="Be brief."), "utf-8")
    assert rag(assay, settings).case_digest(LONG) == rag(assay, settings, prompt=str(path)).case_digest(LONG)


def test_a_written_answer_depends_on_the_rendered_prompt_and_the_model(assay, settings, tmp_path):
    with_model(assay, FakeListChatModel(responses=["Parents may take twenty-two weeks [1]."]))
    base = rag(assay, settings).case_digest(LONG)
    path = tmp_path / "answer@7.md"
    path.write_text(TEMPLATE.format(version=7, system="Be brief."), "utf-8")
    assert rag(assay, settings).case_digest(LONG) == base, "the random fence is no difference"
    assert rag(assay, settings, prompt=str(path)).case_digest(LONG) != base
    assert rag(assay, settings, model="assay-extractive").case_digest(LONG) != base
    with_model(assay, FakeListChatModel(responses=["x"]), temperature=1.0)
    assert rag(assay, settings).case_digest(LONG) != base


def test_unchanged_cases_cost_a_search_and_no_generation(assay, settings):
    model = Replies(responses=["Parents may take twenty-two weeks of parental leave [1]."])
    with_model(assay, model)
    cache = DictCache()
    first = list(iter_rows(rag(assay, settings), [], [LONG, TEAS], cache=cache))
    assert [row.is_cached for row in first] == [False, False]
    asked = model.n_asked
    again = list(iter_rows(rag(assay, settings), [], [LONG, TEAS], cache=cache))
    assert [row.is_cached for row in again] == [True, True]
    assert model.n_asked == asked
    assert [row.observation for row in again] == [row.observation for row in first]


def test_what_was_retrieved_alike_is_known_without_reranking_and_screening_it_again(assay, settings):
    """Also by another process, and also for another prompt: two fresh targets over one store."""
    judged = []

    def judge(texts):
        judged.extend(texts)
        return [0.0 for _ in texts]

    with_model(assay, Replies(responses=["Tea is free [1]."]))
    assay.rag = Rag(replace(assay.rag.parts, guard=Guard(injection=judge, id="counting")))
    asked = sample("Is the tea free in the kitchens?")
    first = rag(assay, settings).case_digest(asked)
    n_judged = len(judged)
    assert n_judged > 0
    assert rag(assay, settings).case_digest(asked) == first
    assert len(judged) == n_judged
    assay.rag = Rag(replace(assay.rag.parts, guard=Guard(injection=judge, id="another")))
    assert rag(assay, settings).case_digest(asked) == first  # another guard that blanks nothing shows the same
    assert len(judged) > n_judged


def test_a_model_that_fails_is_an_error_though_the_product_would_stand_in(assay, settings):
    class Down(FakeListChatModel):
        def _call(self, *args, **options):
            raise ConnectionError("no server")

    with_model(assay, Down(responses=[""]))
    seen = rag(assay, settings)(LONG)
    assert "did not answer" in seen.error
    assert seen.answer is None


def test_a_question_that_policy_refuses_is_an_abstention_and_no_error(assay, settings):
    assay.rag = Rag(replace(assay.rag.parts, screening=ScreeningConfig(personal_data="refuse")))
    target = rag(assay, settings)
    asked = sample(question="Write to jane.doe@example.com about tea?")
    seen = target(asked)
    assert seen.answer.abstained
    assert "personal data" in seen.answer.abstain_reason
    assert target.case_digest(asked)


def test_the_retriever_alone_gives_hits_and_no_answer(assay, settings):
    target = search_target(SearchTarget(kind="search", k=1), assay)
    seen = target(TEAS)
    assert seen.answer is None
    assert [hit.sources[0].uri for hit in seen.hits] == ["upload://tea.md"]
    assert search_target(SearchTarget(kind="search", k=2), assay).digest != target.digest


def test_a_prompt_is_named_by_version_or_by_its_file(tmp_path):
    path = tmp_path / "answer@7.md"
    path.write_text(TEMPLATE.format(version=7, system="Be brief."), "utf-8")
    assert prompt_of(str(path)).ref == "answer@7"
    assert prompt_of("answer@1").ref == "answer@1"
    with pytest.raises(NotFound, match="answer@99"):
        prompt_of("answer@99")
    with pytest.raises(InvalidInput, match="names no version"):
        prompt_of("answer@new")
