import pytest

from data.records import Chunk, Hit, SourceRef, StageScore
from retrieval.reranking import OverlapReranker, rerank


def hit(name: str, text: str, score: float, neighbours: float | None = None, title: str = "") -> Hit:
    chunk = Chunk(id=f"{name}#0", document_id=name, document_version=1, ordinal=0, start=0, end=len(text), text=text)
    stages = {"fusion": StageScore(rank=1, score=score)}
    if neighbours is not None:
        stages["neighbours"] = StageScore(rank=1, score=neighbours)
    source = SourceRef(document_id=name, uri=name, title=title, version=1)
    return Hit(chunk=chunk, score=score, stages=stages, sources=(source,))


HITS = (
    hit("prices", "prices of thermometers", 0.70),
    hit("leave", "annual leave is thirty days", 0.69),
    hit("sick", "sick leave", 0.68),
    hit("parking", "where to park", 0.1),
)


class Told:
    """A reranker that gives each text the score it was told, and remembers what it was asked."""

    id = "told"

    def __init__(self, **scores: float) -> None:
        self.scores, self.asked = scores, []

    def score(self, question, texts):
        self.asked.append((question, list(texts)))
        return [self.scores.get(text.split()[0], 0.0) for text in texts]


def names(hits: tuple[Hit, ...]) -> list[str]:
    return [h.chunk.document_id for h in hits]


def test_where_the_words_of_a_question_point_at_a_hit_the_readers_score_counts() -> None:
    assert names(rerank("What is annual leave?", HITS, Told(annual=5.0), 2)) == ["leave", "sick"]
    assert names(rerank("What is annual leave?", HITS, Told(prices=9.0), 1)) == ["prices"]


def test_where_all_hits_hold_the_words_the_neighbours_count_and_the_reader_hardly_does() -> None:
    alike = tuple(hit(f"tea{n}", f"tea{n} is tea", 0.7 - n / 100, neighbours=3.0 * (n == 7)) for n in range(12))
    assert names(rerank("What is tea?", alike, Told(tea11=1.0), 1)) == ["tea7"]


def test_a_claim_is_not_read() -> None:
    told = Told(prices=9.0)
    rerank("Annual leave is thirty days.", HITS, told, 2)
    assert told.asked == []
    rerank("Is annual leave thirty days?", HITS, told, 2)
    assert len(told.asked) == 1


def test_a_question_about_what_all_hits_hold_is_not_read_for() -> None:
    told = Told(tea=9.0)
    rerank("What is tea?", tuple(hit(f"tea{n}", "tea is tea", 0.7) for n in range(12)), told, 1)
    assert told.asked == []


def test_the_reader_reads_the_likeliest_once_and_what_it_does_not_read_is_no_better_than_what_it_does() -> None:
    told = Told(annual=-3.0, sick=-3.0)
    found = rerank("annual leave?", HITS, told, 4, reads=2)
    assert told.asked == [("annual leave?", ["annual leave is thirty days", "sick leave"])]
    assert names(found)[0] == "leave"
    assert rerank("annual leave?", HITS, told, 4, reads=0)[0].chunk.document_id == "leave"
    assert len(told.asked) == 1


def test_title_and_headings_count_as_words_of_a_chunk() -> None:
    titled = (hit("a", "nothing of it", 0.5), hit("b", "nothing of it", 0.5, title="Annual leave"))
    assert names(rerank("annual leave", titled, OverlapReranker(), 1)) == ["b"]


def test_equal_scores_keep_their_former_order() -> None:
    same = tuple(hit(name, "the same text", 0.5) for name in "dcba")
    assert names(rerank("nothing in common?", same, OverlapReranker(), 4)) == list("dcba")


def test_a_reranked_hit_carries_its_new_score_and_what_the_stages_before_gave_it() -> None:
    first, second = rerank("annual leave?", HITS, OverlapReranker(), 2)
    assert first.stages["rerank"] == StageScore(rank=1, score=first.score)
    assert second.stages["rerank"] == StageScore(rank=2, score=second.score)
    assert first.score > second.score
    assert first.stages["fusion"] == HITS[1].stages["fusion"]
    assert HITS[1].score == 0.69  # the hits given are left as they were


@pytest.mark.parametrize(("hits", "k", "expected"), [((), 5, 0), (HITS, 0, 0), (HITS, 99, 4)])
def test_there_are_never_more_hits_than_asked_for_or_given(hits: tuple[Hit, ...], k: int, expected: int) -> None:
    assert len(rerank("leave?", hits, OverlapReranker(), k)) == expected


def test_an_empty_question_does_not_divide_by_zero() -> None:
    assert OverlapReranker().score("", ["a text"]) == [0.0]
    assert names(rerank("", HITS, OverlapReranker(), 4)) == names(HITS)
