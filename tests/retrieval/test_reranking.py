import pytest

from data.records import Chunk, Hit, StageScore
from retrieval.reranking import OverlapReranker, rerank


def hit(name: str, text: str, score: float) -> Hit:
    chunk = Chunk(id=f"{name}#0", document_id=name, document_version=1, ordinal=0, start=0, end=len(text), text=text)
    return Hit(chunk=chunk, score=score, stages={"fusion": StageScore(rank=1, score=score)})


HITS = (
    hit("prices", "prices of thermometers", 0.9),
    hit("leave", "annual leave is thirty days", 0.8),
    hit("sick", "sick leave", 0.7),
    hit("parking", "where to park", 0.6),
)


def names(hits: tuple[Hit, ...]) -> list[str]:
    return [h.chunk.document_id for h in hits]


def test_hits_come_in_the_order_of_the_rerankers_scores() -> None:
    assert names(rerank("annual leave", HITS, OverlapReranker(), 2)) == ["leave", "sick"]


def test_equal_scores_keep_their_former_order() -> None:
    assert names(rerank("nothing in common", HITS, OverlapReranker(), 4)) == names(HITS)


def test_a_reranked_hit_carries_its_new_score_and_what_the_stages_before_gave_it() -> None:
    first, second = rerank("annual leave", HITS, OverlapReranker(), 2)
    assert (first.score, second.score) == (1.0, 0.5)
    assert first.stages["rerank"] == StageScore(rank=1, score=1.0)
    assert second.stages["rerank"] == StageScore(rank=2, score=0.5)
    assert first.stages["fusion"] == HITS[1].stages["fusion"]
    assert HITS[1].score == 0.8  # the hits given are left as they were


def test_the_reranker_reads_each_chunks_text_once() -> None:
    asked: list[tuple[str, list[str]]] = []

    class Recording(OverlapReranker):
        def score(self, question, texts):
            asked.append((question, list(texts)))
            return super().score(question, texts)

    rerank("leave", HITS, Recording(), 1)
    assert asked == [("leave", [h.chunk.text for h in HITS])]


@pytest.mark.parametrize(("hits", "k", "expected"), [((), 5, 0), (HITS, 0, 0), (HITS, 99, 4)])
def test_there_are_never_more_hits_than_asked_for_or_given(hits: tuple[Hit, ...], k: int, expected: int) -> None:
    assert len(rerank("leave", hits, OverlapReranker(), k)) == expected


def test_an_empty_question_does_not_divide_by_zero() -> None:
    assert OverlapReranker().score("", ["a text"]) == [0.0]
