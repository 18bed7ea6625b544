from dataclasses import replace

import pytest

from app.assay import Assay
from app.settings import Settings
from app.wiring import build_rag
from data.errors import InvalidInput
from data.records import EventType, Query
from retrieval.config import SearchConfig
from retrieval.reranking import OverlapReranker
from tests.app.answering_product import ASKER, events, put, told_product

pytestmark = pytest.mark.slow  # stores a dozen documents


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    with told_product(tmp_path_factory.mktemp("searches")) as assay:
        for n in range(12):
            put(assay, f"bench{n}.md", f"# Bench {n}\n\nBench {n} is calibrated in March by the laboratory.")
        yield assay


def with_reranker(assay: Assay, **search) -> Assay:
    """The same store with a reranker, its graph built anew."""
    settings = Settings(home=assay.var.parent, search=SearchConfig(**search))
    stores = replace(assay.stores, reranker=OverlapReranker(), search=settings.search)
    return Assay(replace(stores, make_rag=lambda opened: build_rag(settings, opened)))


ASKED = Query(text="Which bench is calibrated?", principal=ASKER, k=3)


def test_answers_are_reranked_and_searches_are_not_unless_the_settings_say_so(told):
    assert "rerank" not in told.search(ASKED).hits[0].stages
    answering = with_reranker(told)
    assert "rerank" not in answering.search(ASKED).hits[0].stages
    assert "rerank" in answering.searches.reranked(ASKED).hits[0].stages
    everywhere = with_reranker(told, reranked="everything")
    assert everywhere.search(ASKED).hits == answering.searches.reranked(ASKED).hits
    nowhere = with_reranker(told, reranked="nothing")
    assert nowhere.searches.reranked(ASKED).hits == told.search(ASKED).hits
    assert nowhere.reranker is None


class FondOfEleven(OverlapReranker):
    def score(self, question, texts):
        return [100.0 * ("Bench 11" in text) for text in texts]


def test_reranking_looks_further_than_what_is_asked_for(told):
    one = ASKED.model_copy(update={"text": "Is tea free in every kitchen?", "k": 1})
    assert "Bench 11" not in told.search(one).hits[0].chunk.text
    assay = with_reranker(told)
    fond = Assay(replace(assay.stores, reranker=FondOfEleven()))
    assert "Bench 11" in fond.searches.reranked(one).hits[0].chunk.text


def test_an_answers_receipt_names_the_reranker_and_its_replay_is_identical(told):
    assay = with_reranker(told)
    final = events(assay, "Which bench is calibrated in March?")[-1]
    assert final.type is EventType.FINAL
    receipt = assay.receipts.get(final.answer.receipt_id, ASKER)
    assert receipt.versions["reranker"] == "overlap"
    assert all({"neighbours", "rerank"} <= hit.stages.keys() for hit in receipt.hits)
    assert assay.replay(receipt.id, ASKER).identical


def test_an_empty_question_is_refused(told):
    with pytest.raises(InvalidInput, match="empty"):
        with_reranker(told).searches.reranked(ASKED.model_copy(update={"text": "  "}))


def test_texts_are_scored_by_the_reranker_or_by_cosine(told):
    assert with_reranker(told).rerank("free tea", ["tea is free", "a van"]) == [1.0, 0.0]
    tea, van = told.rerank("free tea", ["tea is free", "a van"])
    assert tea > van
