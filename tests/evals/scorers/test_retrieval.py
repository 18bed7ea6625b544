import math

import ir_measures
import pytest
from ir_measures import RR, R, nDCG

from evals.scorers.retrieval import ContextScorer, RetrievalScorer
from tests.evals.making import abstained, answered, hit, sample, values

LEAVE = hit("Parents may take 22 weeks of leave at full pay. It may be split.", "file:///docs/people/leave.md")
TEA = hit("Tea is free in every kitchen.", "file:///docs/tea.md")
VAN = hit("A van is booked through the desk.", "file:///docs/van.md")
WANTED = (("people/leave.md", "22 weeks of leave at full pay"), ("tea.md", "Tea is free"))


def scored(hits, citations=WANTED, k=10):
    return values(RetrievalScorer(k).score(sample(citations=citations), answered("x", hits=tuple(hits))))


def test_a_worked_ranking():
    found = scored([VAN, LEAVE, VAN, TEA])
    ideal = 1 / math.log2(2) + 1 / math.log2(3)
    assert found["retrieval_recall"] == 1.0
    assert found["ndcg"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert found["mrr"] == 0.5


def test_one_relevant_chunk_for_each_citation_is_scored_as_ir_measures_does():
    filler = [hit(f"Instrument {n} is calibrated.", f"file:///docs/f{n}.md") for n in range(8)]
    hits = [filler[0], TEA, *filler[1:5], LEAVE]
    ranks = {h.sources[0].uri: -float(n) for n, h in enumerate(hits)}
    judged = {"q": {LEAVE.sources[0].uri: 1, TEA.sources[0].uri: 1}}
    theirs = ir_measures.calc_aggregate([nDCG @ 5, R @ 5, RR @ 5], judged, {"q": ranks})
    found = scored(hits, k=5)
    assert found["ndcg"] == pytest.approx(theirs[nDCG @ 5])
    assert found["retrieval_recall"] == pytest.approx(theirs[R @ 5])
    assert found["mrr"] == pytest.approx(theirs[RR @ 5])


def test_two_quotes_in_the_first_chunk_reach_one_and_never_more():
    both = hit("Tea is free. Coffee costs forty cents.", "file:///docs/tea.md")
    wanted = (("tea.md", "Tea is free"), ("tea.md", "Coffee costs forty cents"))
    assert scored([both], wanted) == {"retrieval_recall": 1.0, "ndcg": 1.0, "mrr": 1.0}


def test_the_quote_in_another_document_and_the_document_without_the_quote_do_not_count():
    copy = hit(LEAVE.chunk.text, "file:///docs/other/leave.md")
    rest = hit("It may be split into blocks.", "file:///docs/people/leave.md")
    assert scored([copy, rest], WANTED[:1]) == {"retrieval_recall": 0.0, "ndcg": 0.0, "mrr": 0.0}


def test_a_text_that_two_documents_share_counts_for_either():
    shared = hit(LEAVE.chunk.text, "file:///docs/copy.md", "file:///docs/people/leave.md")
    assert scored([shared], WANTED[:1])["retrieval_recall"] == 1.0


def test_a_quote_cut_between_two_chunks_is_found_in_the_larger_half():
    half = hit("of leave at full pay. And so on.", "file:///docs/people/leave.md")
    assert scored([half], WANTED[:1])["retrieval_recall"] == 1.0
    assert scored([hit("full pay.", "file:///docs/people/leave.md")], WANTED[:1])["retrieval_recall"] == 1.0, (
        "all inside"
    )
    assert scored([hit("full pay. And so on.", "file:///docs/people/leave.md")], WANTED[:1])["retrieval_recall"] == 0.0


def test_only_the_first_k_chunks_count():
    assert scored([VAN, VAN, TEA], WANTED[1:], k=2)["retrieval_recall"] == 0.0


def test_nothing_is_said_of_samples_without_citations_or_targets_that_do_not_tell():
    for scorer in (RetrievalScorer(), ContextScorer()):
        assert scorer.score(sample(), answered("x", hits=(TEA,))) == []
        assert scorer.score(sample(citations=WANTED), abstained(has_hits=False)) == []


def test_context_precision_is_the_mean_precision_at_the_relevant_ranks():
    found = values(ContextScorer().score(sample(citations=WANTED), answered("x", hits=(TEA, VAN, LEAVE))))
    assert found["context_precision"] == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert found["context_recall"] == 1.0


def test_context_recall_counts_the_words_of_the_quotes():
    found = values(ContextScorer().score(sample(citations=WANTED), answered("x", hits=(TEA, VAN))))
    assert found["context_recall"] == pytest.approx(3 / (7 + 3))
