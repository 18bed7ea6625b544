import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import IndexDamaged, InvalidInput
from retrieval.dense_config import DenseConfig
from retrieval.dense_index import SCANNED_ROWS, DenseIndex, DenseManifest, VectorFile, build_dense

DIM, N = 24, 6000
LISTS = DenseConfig(exact_up_to=1000, tuning_queries=100)
EXACT = DenseConfig(exact_up_to=50_000)


@dataclass(frozen=True)
class Built:
    folder: Path
    vectors: np.ndarray
    chunk_ids: np.ndarray
    manifest: DenseManifest

    def nearest(self, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> list[int]:
        """By comparing with every row, in float64, equal scores by id."""
        scores = self.vectors.astype(np.float64) @ query
        if allowed is not None:
            scores[~allowed] = -np.inf
        return self.chunk_ids[np.lexsort((self.chunk_ids, -scores))[:k]].tolist()


def clustered(n: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(60, DIM))
    vectors = centres[random.integers(60, size=n)] + random.normal(0, 0.5, (n, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def build(folder: Path, config: DenseConfig, n: int = N, **given: object) -> Built:
    vectors = clustered(n)
    chunk_ids = np.random.default_rng(1).permutation(10 * n)[:n].astype(np.int64)
    return Built(folder, vectors, chunk_ids, build_dense(vectors, chunk_ids, config, folder, **given))


def left_out(n: int) -> np.ndarray:
    """Unit queries from the same clusters that are no row of the index."""
    vectors = clustered(N + n)[N:].astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("lists") / "index", LISTS)


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("exact") / "index", EXACT, n=1500)


def test_a_small_collection_is_searched_exactly(exact: Built) -> None:
    assert (exact.manifest.kind, exact.manifest.recall_at_10) == ("exact", 1.0)
    index = DenseIndex.open(exact.folder)
    for query in left_out(50):
        ids, scores = index.search(query, 10)
        assert ids.tolist() == exact.nearest(query, 10)
        np.testing.assert_allclose(scores, index.vectors_of(ids) @ query, atol=1e-5)


@pytest.mark.slow
def test_a_larger_one_reaches_its_recall_target_on_questions_it_was_not_tuned_on(lists: Built) -> None:
    index = DenseIndex.open(lists.folder)
    assert index.manifest.kind == "inverted lists"
    assert index.manifest.n_probe < index.manifest.n_lists  # it does not simply look everywhere
    queries = left_out(200)
    found = [len(set(index.search(q, 10)[0].tolist()) & set(lists.nearest(q, 10))) for q in queries]
    assert np.mean(found) / 10 >= LISTS.recall_target


def test_the_manifest_records_what_was_chosen_and_measured(lists: Built) -> None:
    stored = DenseManifest.model_validate_json((lists.folder / "manifest.json").read_text())
    assert stored == lists.manifest
    assert stored.recall_at_10 >= stored.recall_target == LISTS.recall_target
    assert (stored.n, stored.dim, stored.n_queries) == (N, DIM, 100)
    assert set(stored.files) == {"vectors.f16", "chunk_ids.i64", "lists.faiss"}


def test_a_higher_target_probes_more_lists(lists: Built, tmp_path: Path) -> None:
    lower = LISTS.model_copy(update={"recall_target": 0.6})
    assert build(tmp_path / "index", lower).manifest.n_probe < lists.manifest.n_probe


def test_scores_are_inner_products_with_the_stored_vectors(lists: Built) -> None:
    index = DenseIndex.open(lists.folder)
    query = left_out(1)[0]
    ids, scores = index.search(query, 20)
    row_of = {chunk: row for row, chunk in enumerate(lists.chunk_ids.tolist())}
    stored = lists.vectors[[row_of[i] for i in ids.tolist()]].astype(np.float64)
    np.testing.assert_allclose(scores, stored @ query, atol=1e-6)
    assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.2, 0.6])
@pytest.mark.parametrize("k", [1, 10, 60])
def test_a_filtered_search_returns_k_allowed_results(lists: Built, share: float, k: int) -> None:
    allowed = np.random.default_rng(2).random(N) < share
    allowed[7] = True
    index = DenseIndex.open(lists.folder)
    permitted = set(lists.chunk_ids[allowed].tolist())
    for query in left_out(20):
        ids, _ = index.search(query, k, allowed=allowed)
        assert len(set(ids.tolist())) == len(ids) == min(k, len(permitted))
        assert set(ids.tolist()) <= permitted


def test_a_filter_with_few_rows_is_answered_exactly(lists: Built) -> None:
    allowed = np.random.default_rng(3).random(N) < 0.3
    assert allowed.sum() <= SCANNED_ROWS
    index = DenseIndex.open(lists.folder)
    for query in left_out(20):
        assert index.search(query, 10, allowed=allowed)[0].tolist() == lists.nearest(query, 10, allowed)


def test_a_filter_with_many_rows_keeps_the_recall(lists: Built) -> None:
    allowed = np.random.default_rng(3).random(N) < 0.5
    assert allowed.sum() > SCANNED_ROWS
    index, queries = DenseIndex.open(lists.folder), left_out(100)
    found = [
        len(set(index.search(q, 10, allowed=allowed)[0].tolist()) & set(lists.nearest(q, 10, allowed))) for q in queries
    ]
    assert np.mean(found) / 10 >= 0.95


def test_a_filter_far_from_the_question_is_still_filled(lists: Built) -> None:
    """All allowed rows lie in clusters that the question's own lists do not hold."""
    query = left_out(1)[0]
    scores = lists.vectors.astype(np.float32) @ query
    allowed = np.zeros(N, bool)
    allowed[np.argsort(scores)[: SCANNED_ROWS + 500]] = True
    ids, _ = DenseIndex.open(lists.folder).search(query, 50, allowed=allowed)
    assert len(ids) == 50
    assert set(ids.tolist()) <= set(lists.chunk_ids[allowed].tolist())


@pytest.mark.parametrize("config", [EXACT, LISTS])
def test_a_filter_that_admits_nothing_finds_nothing(tmp_path: Path, config: DenseConfig) -> None:
    index = DenseIndex.open(build(tmp_path / "index", config, n=1200).folder)
    ids, scores = index.search(left_out(1)[0], 10, allowed=np.zeros(1200, bool))
    assert len(ids) == len(scores) == 0


@given(share=st.floats(0, 1), k=st.integers(0, 40), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_filter_on_an_exact_index_equals_comparing_every_row(exact: Built, share: float, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    allowed, query = random.random(len(exact.chunk_ids)) < share, random.normal(size=DIM).astype(np.float32)
    ids, _ = DenseIndex.open(exact.folder).search(query, k, allowed=allowed)
    assert ids.tolist() == exact.nearest(query, min(k, int(allowed.sum())), allowed)


@pytest.mark.parametrize("config", [EXACT, LISTS])
def test_equal_scores_come_in_the_order_of_chunk_ids(tmp_path: Path, config: DenseConfig) -> None:
    vectors = clustered(1300)
    twins = [5, 400, 401, 800, 1299]
    vectors[twins] = vectors[5]
    chunk_ids = np.arange(2000, 700, -1)  # falling: the order of rows is not that of ids
    build_dense(vectors, chunk_ids, config, tmp_path / "index")
    query = vectors[5].astype(np.float32)
    for k in (2, 3, 5):
        ids, scores = DenseIndex.open(tmp_path / "index").search(query, k)
        assert ids.tolist() == sorted(chunk_ids[twins].tolist())[:k]
        assert len(set(scores.tolist())) == 1


def test_the_same_question_gives_the_same_bits_on_any_thread_and_after_reopening(lists: Built) -> None:
    index, queries = DenseIndex.open(lists.folder), left_out(40)
    expected = [index.search(q, 10) for q in queries]
    with ThreadPoolExecutor(8) as pool:
        again = list(pool.map(lambda q: index.search(q, 10), queries))
    reopened = DenseIndex.open(lists.folder)
    for (ids, scores), other, third in zip(expected, again, (reopened.search(q, 10) for q in queries), strict=True):
        for found in (other, third):
            np.testing.assert_array_equal(found[0], ids)
            np.testing.assert_array_equal(found[1].view(np.int32), scores.view(np.int32))


def test_a_score_does_not_depend_on_k_or_on_a_filter(lists: Built) -> None:
    index, query = DenseIndex.open(lists.folder), left_out(1)[0]
    ids, scores = index.search(query, 40)
    wide = dict(zip(ids.tolist(), scores.tolist(), strict=True))
    few_ids, few_scores = index.search(query, 3)
    filtered_ids, filtered_scores = index.search(query, 3, allowed=np.isin(lists.chunk_ids, ids))
    assert [wide[i] for i in few_ids.tolist()] == few_scores.tolist()
    assert [wide[i] for i in filtered_ids.tolist()] == filtered_scores.tolist()


@pytest.mark.slow
def test_building_twice_gives_the_same_files(lists: Built, tmp_path: Path) -> None:
    assert build(tmp_path / "index", LISTS).manifest == lists.manifest  # with the sha256 of each file
    other = build(tmp_path / "other", LISTS, seed=1).manifest
    assert other.files["lists.faiss"] != lists.manifest.files["lists.faiss"]


def test_memory_mapped_and_read_lists_find_the_same(lists: Built) -> None:
    mapped, read = (DenseIndex.open(lists.folder, mmap=mmap) for mmap in (True, False))
    for query in left_out(30):
        for a, b in zip(mapped.search(query, 10), read.search(query, 10), strict=True):
            np.testing.assert_array_equal(a, b)


def test_large_lists_are_memory_mapped_by_themselves(lists: Built, tmp_path: Path) -> None:
    mapped = build(tmp_path / "index", LISTS.model_copy(update={"mmap_from": N})).manifest
    assert mapped.memory_mapped
    assert not lists.manifest.memory_mapped


@pytest.mark.parametrize("name", ["vectors.f16", "chunk_ids.i64", "lists.faiss", "manifest.json"])
@pytest.mark.parametrize("how", ["truncated", "altered", "missing"])
def test_a_damaged_file_is_noticed_when_the_index_is_opened(lists: Built, tmp_path: Path, name: str, how: str) -> None:
    shutil.copytree(lists.folder, tmp_path / "index")
    path = tmp_path / "index" / name
    content = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    else:
        middle = len(content) // 2
        content[middle : middle + 8] = b"\x00\x01\x02\x03\x04\x05\x06\x07"
        path.write_bytes(content)
    with pytest.raises(IndexDamaged, match="index"):
        DenseIndex.open(tmp_path / "index")


def test_hashes_of_large_files_are_checked_on_request(
    lists: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(lists.folder, tmp_path / "index")
    content = bytearray((tmp_path / "index" / "vectors.f16").read_bytes())
    content[1000] ^= 1
    (tmp_path / "index" / "vectors.f16").write_bytes(content)
    monkeypatch.setattr("retrieval.dense_index.HASHED_BYTES", 1000)
    DenseIndex.open(tmp_path / "index")
    with pytest.raises(IndexDamaged, match="its hash differs"):
        DenseIndex.open(tmp_path / "index", verify=True)


def test_an_interrupted_build_leaves_no_index_and_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "index.building").mkdir()
    (tmp_path / "index.building" / "vectors.f16").write_bytes(b"half")
    with pytest.raises(IndexDamaged):
        DenseIndex.open(tmp_path / "index")
    build(tmp_path / "index", EXACT, n=1000)
    assert DenseIndex.open(tmp_path / "index").manifest.n == 1000
    assert not (tmp_path / "index.building").exists()


def test_an_index_is_never_overwritten(exact: Built) -> None:
    with pytest.raises(InvalidInput, match="an index is never changed"):
        build_dense(exact.vectors, exact.chunk_ids, EXACT, exact.folder)


def test_shapes_that_do_not_fit_are_named(exact: Built, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"\(1500, 24\) do not fit chunk ids of shape \(3,\)"):
        build_dense(exact.vectors, np.arange(3), EXACT, tmp_path / "index")
    with pytest.raises(InvalidInput, match=r"\(5,\) meets 24 dimensions"):
        DenseIndex.open(exact.folder).search(np.ones(5, np.float32), 10)


def test_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    build_dense(np.empty((0, DIM), np.float16), np.empty(0, np.int64), EXACT, tmp_path / "index")
    index = DenseIndex.open(tmp_path / "index")
    assert index.search(left_out(1)[0], 10)[0].tolist() == []
    assert index.vectors_of(np.empty(0, np.int64)).shape == (0, DIM)
    with pytest.raises(InvalidInput, match="not in the index"):
        index.vectors_of(np.array([1]))


def test_stored_vectors_are_found_by_chunk_id(lists: Built) -> None:
    index = DenseIndex.open(lists.folder)
    rows = [17, 3, 5999]
    np.testing.assert_array_equal(index.vectors_of(lists.chunk_ids[rows]), lists.vectors[rows].astype(np.float32))
    absent = np.setdiff1d(np.arange(10 * N), lists.chunk_ids)[:1]
    with pytest.raises(InvalidInput, match="1 of these chunk ids are not in the index"):
        index.vectors_of(np.append(lists.chunk_ids[rows], absent))
    asked = np.concatenate([lists.chunk_ids[rows], absent, [-1, 10**12]])
    assert index.held(asked).tolist() == [True, True, True, False, False, False]


def test_chunk_ids_are_found_whether_rows_lie_in_their_order_or_not(tmp_path: Path) -> None:
    vectors = clustered(1100)
    for name, chunk_ids in (("rising", np.arange(0, 2200, 2)), ("falling", np.arange(2200, 0, -2))):
        build_dense(vectors, chunk_ids, EXACT, tmp_path / name)
        index = DenseIndex.open(tmp_path / name)
        np.testing.assert_array_equal(index.vectors_of(chunk_ids[[9, 3]]), vectors[[9, 3]].astype(np.float32))
        assert index.held(np.array([100, 101, 5000])).tolist() == [True, False, False]


def test_an_open_index_outlives_its_folder(tmp_path: Path) -> None:
    """A merge removes the folder of the index before while searches still hold it."""
    built = build(tmp_path / "index", LISTS, n=1200)
    index, query = DenseIndex.open(built.folder, mmap=True), left_out(1)[0]
    before = index.search(query, 10)[0].tolist()
    shutil.rmtree(built.folder)
    assert index.search(query, 10)[0].tolist() == before
    assert len(index.vectors_of(built.chunk_ids[:5])) == 5


class FakeGpu:
    """Answers like the copy on a GPU, and counts."""

    def __init__(self, index: faiss.Index) -> None:
        self._index = index
        self.n_searches = 0

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.n_searches += 1
        return self._index.search(queries, k)


def test_a_gpu_answers_what_has_no_filter_and_the_scores_stay_exact(lists: Built) -> None:
    on_cpu = DenseIndex.open(lists.folder)
    copy = faiss.read_index(str(lists.folder / "lists.faiss"))
    copy.nprobe = lists.manifest.n_probe
    gpu = FakeGpu(copy)
    index = DenseIndex(lists.manifest, copy, lists.chunk_ids, VectorFile(lists.folder / "vectors.f16", DIM), gpu)
    allowed, query = np.arange(N) % 2 == 0, left_out(1)[0]
    for a, b in zip(index.search(query, 10), on_cpu.search(query, 10), strict=True):
        np.testing.assert_array_equal(a, b)
    assert gpu.n_searches == 1
    filtered = index.search(query, 10, allowed=allowed)[0]
    assert gpu.n_searches == 1
    np.testing.assert_array_equal(filtered, on_cpu.search(query, 10, allowed=allowed)[0])


@pytest.mark.gpu
def test_a_real_gpu_finds_what_the_processor_finds(lists: Built) -> None:
    if not hasattr(faiss, "StandardGpuResources"):
        pytest.skip("gpu: needs faiss-gpu; pip install -e '.[gpu]'")
    index = DenseIndex.open(lists.folder)
    assert index._gpu is not None
    for query in left_out(50):
        assert len(set(index.search(query, 10)[0].tolist()) & set(lists.nearest(query, 10))) >= 9
