import numpy as np
import pytest

from data.records import Query, SearchMode
from retrieval.config import SearchConfig
from retrieval.fusion import fuse
from retrieval.search import Searcher, retrieve

WORDS = [
    "amber",
    "basalt",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "garnet",
    "harbour",
    "indigo",
    "juniper",
    "kelp",
    "lagoon",
    "maple",
    "nectar",
    "onyx",
    "pebble",
]


@pytest.fixture
def stocked(library):
    """Sixty texts of five words each."""
    texts = {f"t{n}": " ".join(WORDS[n * step % 16] for step in (1, 3, 5, 7)) + f" n{n}" for n in range(60)}
    library.add(texts)
    return library


def test_each_mode_names_the_stages_that_found_a_chunk(stocked):
    for mode, stages in (("lexical", {"lexical"}), ("dense", {"dense"}), ("hybrid", {"lexical", "dense", "fusion"})):
        hit = stocked.search("amber delta", mode=SearchMode(mode)).hits[0]
        assert set(hit.stages) == stages
        assert hit.score == hit.stages["fusion" if mode == "hybrid" else mode].score


def test_every_candidate_is_fused_with_both_of_its_scores(stocked):
    """With ten candidates a list, most are in one list only; each still gets the score that the other search gives it."""
    config = SearchConfig(candidates=10)
    searcher = Searcher(stocked.catalog, lambda t: stocked.embedder.embed([t], kind="query")[0], config)
    snapshot, text = stocked.keeper.snapshot(), "amber delta harbour"
    found = {h.chunk.id: h.score for h in retrieve(Query(text=text, k=10), snapshot, searcher).hits}
    access = stocked.catalog.access(Query(text=text), snapshot.generation)
    vector = stocked.embedder.embed([text], kind="query")[0]
    every_lexical = dict(snapshot.search_lexical(text, 1000, access))
    every_dense = dict(snapshot.search_dense(vector, 1000, access))
    union = {i for i, _ in snapshot.search_lexical(text, 10, access) + snapshot.search_dense(vector, 10, access)}
    assert 10 < len(union) < 20
    expected = fuse(
        {i: s for i, s in every_lexical.items() if i in union}, {i: s for i, s in every_dense.items() if i in union}
    )
    assert list(found.values()) == pytest.approx([s for _, s in expected[:10]], abs=2e-6)


def test_the_same_query_on_the_same_snapshot_is_bit_identical(stocked):
    first = stocked.search("garnet kelp onyx", k=30)
    for _ in range(5):
        again = stocked.search("garnet kelp onyx", k=30)
        assert again.snapshot_id == first.snapshot_id
        assert [(h.chunk.id, h.score) for h in again.hits] == [(h.chunk.id, h.score) for h in first.hits]


def test_scores_fall_and_equal_ones_are_settled(stocked):
    scores = [h.score for h in stocked.search("maple", k=60).hits]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 60


def test_a_question_without_any_known_word_is_answered_by_the_vectors_alone(stocked):
    hybrid = stocked.search("qqq zzz", k=5)
    dense = stocked.search("qqq zzz", k=5, mode=SearchMode.DENSE)
    assert [h.chunk.id for h in hybrid.hits] == [h.chunk.id for h in dense.hits]


def test_chunks_of_delta_and_main_index_are_fused_alike(stocked):
    before = stocked.search("amber delta harbour", k=20)
    stocked.keeper.merge()
    after = stocked.search("amber delta harbour", k=20)
    assert [h.chunk.id for h in after.hits] == [h.chunk.id for h in before.hits]
    assert np.allclose([h.score for h in after.hits], [h.score for h in before.hits], atol=2e-6)


def test_a_foreign_chunk_is_in_neither_list_of_candidates(library):
    library.add({f"mine{n}": f"amber {w}" for n, w in enumerate(WORDS)}, tenant="mine")
    library.add({f"theirs{n}": f"amber {w} secret" for n, w in enumerate(WORDS)}, tenant="theirs")
    principal = {"tenant": "mine", "groups": frozenset({"everyone"})}
    for mode in SearchMode:
        found = library.found("amber secret", k=100, mode=mode, principal=principal)
        assert found
        assert not [uri for uri in found if uri.startswith("theirs")]


def test_the_time_of_each_stage_is_told(stocked):
    timings = stocked.search("amber", mode=SearchMode.HYBRID).timings_ms
    assert list(timings) == ["lexical", "embed", "dense", "fusion", "fetch"]
    assert all(ms >= 0 for ms in timings.values())


def test_hits_bring_what_their_neighbours_say_where_the_search_is_asked_for_it(stocked):
    embed = lambda text: stocked.embedder.embed([text], kind="query")[0]  # noqa: E731
    snapshot, query = stocked.keeper.snapshot(), Query(text="amber delta", k=12)
    plain = retrieve(query, snapshot, Searcher(stocked.catalog, embed, SearchConfig()))
    asked = retrieve(query, snapshot, Searcher(stocked.catalog, embed, SearchConfig(), asks_neighbours=True))
    assert [h.chunk.id for h in asked.hits] == [h.chunk.id for h in plain.hits]  # the order is the fusion's
    assert all("neighbours" in hit.stages for hit in asked.hits)
    assert not any("neighbours" in hit.stages for hit in plain.hits)
    assert sorted(hit.stages["neighbours"].rank for hit in asked.hits) == list(range(1, 13))
    lexical = query.model_copy(update={"mode": SearchMode.LEXICAL})
    only = retrieve(lexical, snapshot, Searcher(stocked.catalog, embed, SearchConfig(), asks_neighbours=True))
    assert set(only.hits[0].stages) == {"lexical"}
