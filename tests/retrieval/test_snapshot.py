import numpy as np
import pytest

from data.records import Query
from retrieval.index_feed import Changes, IndexedChunk, Rows
from retrieval.snapshot import Delta
from tests.retrieval.conftest import Library


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def chunk(identity: int, content: int, vector) -> IndexedChunk:
    blob = None if vector is None else np.array(vector, np.float16).tobytes()
    return IndexedChunk(identity, content, (1,), "", "text", blob)


def test_a_delta_drops_what_was_touched_and_takes_what_is_new():
    delta = Delta(Rows(ids(1, 2, 3), ids(10, 10, 30)), np.eye(3, 2, dtype=np.float32))
    changes = Changes(5, (30,), (chunk(4, 10, [0.0, 1.0]), chunk(5, 50, [1.0, 0.0]), chunk(6, 60, None)))
    after = delta.after(changes, ids(10, 30))
    assert after.rows.chunk_ids.tolist() == [4, 5]
    assert after.rows.content_ids.tolist() == [10, 50]
    assert after.vectors.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert len(delta.rows) == 3, "the old snapshot is untouched"


def test_an_old_snapshot_answers_as_before_while_new_ones_are_made(library: Library):
    library.add({"a": "alpha words", "b": "beta words"})
    old = library.keeper.snapshot()
    query = library.embedder.embed(["alpha words"], kind="query")[0]
    before = old.search_dense(query, 5, _everything(library, old))
    library.add({"a": "something else entirely"})
    library.remove("b")
    assert old.search_dense(query, 5, _everything(library, old)) == before
    assert library.keeper.snapshot().id != old.id


def test_scores_of_given_chunks_are_those_of_the_search_in_delta_and_main_index(library: Library):
    library.add({f"d{n}": f"topic{n} and words" for n in range(12)})
    query = library.embedder.embed(["topic3 words"], kind="query")[0]
    for _ in range(2):
        snapshot = library.keeper.snapshot()
        found = dict(snapshot.search_dense(query, 12, _everything(library, snapshot)))
        again = snapshot.dense_scores(query, [*found, 999])
        assert set(again) == set(found)
        assert all(abs(again[i] - score) < 2e-3 for i, score in found.items())
        library.keeper.merge()


def _everything(library: Library, snapshot):
    return library.catalog.access(Query(text="x"), snapshot.generation)


def test_vectors_of_given_chunks_come_from_delta_and_main_index_and_are_zero_where_there_is_none(library: Library):
    library.add({f"d{n}": f"topic{n} and words" for n in range(6)})
    library.keeper.merge()
    library.add({"late": "topic7 and words"})
    snapshot = library.keeper.snapshot()
    ids = sorted(snapshot.chunk_ids())
    vectors, held = snapshot.vectors_of([*ids, 999])
    assert held.tolist() == [True] * 7 + [False]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0] * 7 + [0.0], abs=1e-3)
    query = library.embedder.embed(["topic7 words"], kind="query")[0]
    assert snapshot.dense_scores(query, ids) == pytest.approx(
        dict(zip(ids, (vectors[:7] @ query).tolist(), strict=True))
    )


def test_the_background_is_drawn_evenly_from_the_whole_index(library: Library, monkeypatch):
    monkeypatch.setattr("retrieval.snapshot.BACKGROUND", 3)
    library.add({f"d{n}": f"topic{n} and words" for n in range(5)})
    snapshot = library.keeper.snapshot()
    ids = sorted(snapshot.chunk_ids())
    assert snapshot.background == pytest.approx(snapshot.vectors_of([ids[0], ids[2], ids[4]])[0])


def test_an_empty_index_has_no_background(library: Library):
    assert library.keeper.snapshot().background.shape == (0, library.embedder.dim)
