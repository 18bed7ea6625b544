"""The main dense index: built once over unit vectors, immutable, on disk. Knows nothing of documents.

Up to `exact_up_to` rows: a scan of the float16 vectors. Beyond: inverted lists of 4-bit product codes (of two dimensions each,
scanned in registers: André et al. 2017, arXiv:1704.07355) find candidates, which are scored again from the float16 vectors in
their file. Scores are inner products with the stored vectors in both cases.
"""

import hashlib
import math
import os
import shutil
import threading
import weakref
from pathlib import Path
from typing import Literal

import faiss
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from data.errors import IndexDamaged, InvalidInput
from retrieval.dense_config import DenseConfig
from retrieval.dense_tuning import BLOCK, Tuned, exact_thresholds, made_up_questions, tune

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
VECTORS, CHUNK_IDS, LISTS, MANIFEST = "vectors.f16", "chunk_ids.i64", "lists.faiss", "manifest.json"
HASHED_BYTES = 64 * 2**20
"""Files up to this size are hashed whenever they are opened; larger ones on request."""
RESCORED = 2
"""Candidates scored again per wanted result ..."""
RESCORED_LEAST = 100
"""... and at least so many."""
NARROW = 128
"""Vectors of no more dimensions get a code for each, wider ones for every two."""
SCANNED_ROWS = 2_000
"""A filter that admits no more rows than this is answered by scoring just those rows."""


class StoredFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    size_bytes: int
    sha256: str


class DenseManifest(BaseModel):
    """What was chosen and why. `recall_at_10` was measured on `n_queries` made-up questions; 1 for an exact index."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["exact", "inverted lists"]
    n: int
    dim: int
    n_lists: int = 0
    n_probe: int = 0
    memory_mapped: bool = False
    recall_at_10: float = 1.0
    recall_target: float = 1.0
    n_queries: int = 0
    seed: int = 0
    extra: dict[str, str] = {}
    files: dict[str, StoredFile] = {}


def build_dense(
    vectors: NDArray,
    chunk_ids: Ids,
    config: DenseConfig,
    folder: Path,
    *,
    seed: int = 0,
    extra: dict[str, str] | None = None,
) -> DenseManifest:
    """Build, tune and save an index over unit `vectors` [n, dim] (float16 or float32) with int64 `chunk_ids` [n].

    Written beside `folder` and renamed at the end: `folder` holds a whole index or does not exist. `extra` is kept in
    the manifest. Raises: InvalidInput for shapes that do not fit and for a folder that exists.
    """
    if vectors.ndim != 2 or chunk_ids.shape != vectors.shape[:1]:
        raise InvalidInput(
            f"Vectors of shape {vectors.shape} do not fit chunk ids of shape {chunk_ids.shape}.",
            field="vectors",
        )
    if folder.exists():
        raise InvalidInput(
            f"{folder} exists, and an index is never changed.", field="folder", next_step="Name another."
        )
    aside = folder.with_name(folder.name + ".building")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    _save(aside / VECTORS, vectors, np.float16)
    _save(aside / CHUNK_IDS, chunk_ids, np.int64)
    n, dim = vectors.shape
    manifest = DenseManifest(kind="exact", n=n, dim=dim, seed=seed, extra=extra or {})
    if n > config.exact_up_to:
        manifest = _add_inverted_lists(aside, manifest, config)
    stored = {p.name: StoredFile(size_bytes=p.stat().st_size, sha256=_sha256(p)) for p in sorted(aside.iterdir())}
    manifest = manifest.model_copy(update={"files": stored})
    (aside / MANIFEST).write_text(manifest.model_dump_json(indent=2))
    for path in (*aside.iterdir(), aside):
        _flush(path)
    os.rename(aside, folder)
    _flush(folder.parent)
    return manifest


class DenseIndex:
    """An opened index. Searches are single-threaded, deterministic and safe from many Python threads."""

    def __init__(
        self,
        manifest: DenseManifest,
        index: faiss.Index,
        chunk_ids: Ids,
        vectors: "VectorFile",
        gpu: faiss.Index | None,
    ) -> None:
        self.manifest = manifest
        self.chunk_ids = chunk_ids
        self.close = vectors.close
        self._index = index
        self._vectors = vectors
        is_sorted = bool((chunk_ids[1:] > chunk_ids[:-1]).all())
        self._by_id = None if is_sorted else np.argsort(chunk_ids, kind="stable")
        self._gpu = gpu
        self._gpu_in_use = threading.Lock()

    @staticmethod
    def open(folder: Path, *, mmap: bool | None = None, verify: bool | None = None, gpu: bool = True) -> "DenseIndex":
        """Open what `build_dense` wrote.

        `mmap` overrides the manifest's choice for inverted lists. Sizes are always checked, hashes of files up to 64 MiB
        by default, of all files with `verify=True`, of none with False. A device is used where there is one and `gpu`
        says so. Raises: IndexDamaged.
        """
        try:
            manifest = DenseManifest.model_validate_json((folder / MANIFEST).read_text())
            _check(folder, manifest, verify)
            chunk_ids = np.fromfile(folder / CHUNK_IDS, np.int64)
            vectors = VectorFile(folder / VECTORS, manifest.dim)
            if manifest.kind == "exact":
                index, on_gpu = _scanned(folder / VECTORS, manifest.dim), None
            else:
                index = _read_lists(folder / LISTS, manifest.memory_mapped if mmap is None else mmap)
                on_gpu = _on_gpu(folder / VECTORS, manifest.dim) if gpu else None
        except (OSError, ValueError, RuntimeError) as error:
            raise IndexDamaged(f"The index {folder.name} cannot be read: {error}.") from error
        if not manifest.n == len(chunk_ids) == index.ntotal or index.d != manifest.dim:
            raise IndexDamaged(f"The index {folder.name} holds {index.ntotal} rows, its manifest says {manifest.n}.")
        return DenseIndex(manifest, index, chunk_ids, vectors, on_gpu)

    def search(
        self, query: Floats, k: int, *, allowed: Mask | None = None, n_probe: int | None = None
    ) -> tuple[Ids, Floats]:
        """Return up to `k` (chunk ids, inner products) for `query` [dim], best first, equal scores by chunk id.

        `allowed` [n] is applied inside the search: k results are k allowed results wherever so many are allowed.
        `n_probe` overrides the tuned number of lists.
        """
        query = np.ascontiguousarray(query, np.float32)
        if query.shape != (self.manifest.dim,):
            raise InvalidInput(f"A query of shape {query.shape} meets {self.manifest.dim} dimensions.", field="query")
        n_allowed = self.manifest.n if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, n_allowed)
        if k <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        faiss.omp_set_num_threads(1)  # holds for the calling thread alone
        selector = None if allowed is None else faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        if self.manifest.kind == "exact":
            rows, scores = self._scan(query, k, selector, n_allowed)
        else:
            if allowed is not None and n_allowed <= SCANNED_ROWS:
                rows = np.flatnonzero(allowed)
            else:
                rows = self._probe(query, k, selector, n_allowed, n_probe or self.manifest.n_probe)
            scores = _inner_products(self._vectors.read(rows), query)
        best = np.lexsort((self.chunk_ids[rows], -scores))[:k]
        return self.chunk_ids[rows[best]], scores[best]

    def vectors_of(self, chunk_ids: Ids) -> Floats:
        """Return the stored vectors, float32 [len(chunk_ids), dim]. Raises: InvalidInput for ids not in the index."""
        rows, held = self._rows_of(chunk_ids)
        if not held.all():
            raise InvalidInput(f"{np.count_nonzero(~held)} of these chunk ids are not in the index.", field="chunk_ids")
        return self._vectors.read(rows)

    def held(self, chunk_ids: Ids) -> Mask:
        """Tell of each of these chunk ids whether it is in the index. Costs the same for any size of the index."""
        return self._rows_of(chunk_ids)[1]

    def _rows_of(self, chunk_ids: Ids) -> tuple[Ids, Mask]:
        if not len(self.chunk_ids) or not len(chunk_ids):
            return np.zeros(len(chunk_ids), np.int64), np.zeros(len(chunk_ids), bool)
        at = np.minimum(np.searchsorted(self.chunk_ids, chunk_ids, sorter=self._by_id), len(self.chunk_ids) - 1)
        rows = at if self._by_id is None else self._by_id[at]
        return rows, self.chunk_ids[rows] == chunk_ids

    def _scan(self, query: Floats, k: int, selector, n_allowed: int) -> tuple[Ids, Floats]:
        wanted = min(k + 1, n_allowed)
        parameters = None if selector is None else faiss.SearchParameters(sel=selector)
        while True:
            scores, rows = self._index.search(query[None], wanted, params=parameters)
            if wanted == n_allowed or scores[0, -1] < scores[0, k - 1]:
                return rows[0], scores[0]
            wanted = min(2 * wanted, n_allowed)  # equal scores straddle the end: fetch them all, then chunk ids decide

    def _probe(self, query: Floats, k: int, selector, n_allowed: int, n_probe: int) -> Ids:
        wanted = min(max(RESCORED * k, RESCORED_LEAST), n_allowed)
        n_lists = self.manifest.n_lists
        if selector is None and self._gpu is not None:
            with self._gpu_in_use:  # GPU resources serve one search at a time
                _, rows = self._gpu.search(query[None], wanted)
            if (rows[0] >= 0).all():
                return rows[0]
        # Lists hold fewer allowed rows than rows: look into so many more that as many rows are compared.
        n_probe = min(math.ceil(n_probe * self.manifest.n / n_allowed), n_lists)
        while True:
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=n_probe)
            _, rows = self._index.search(query[None], wanted, params=parameters)
            if (rows[0] >= 0).all() or n_probe == n_lists:
                return rows[0][rows[0] >= 0]
            n_probe = min(4 * n_probe, n_lists)


class VectorFile:
    """Rows of float16 read by position: what was read stays in the page cache and is no part of the process's memory."""

    def __init__(self, path: Path, dim: int) -> None:
        self.dim = dim
        self._descriptor = os.open(path, os.O_RDONLY)
        self.close = weakref.finalize(self, os.close, self._descriptor)

    def read(self, rows: Ids) -> Floats:
        """float32 [len(rows), dim]."""
        width = 2 * self.dim
        found = b"".join([os.pread(self._descriptor, width, row * width) for row in rows.tolist()])
        return np.frombuffer(found, np.float16).reshape(len(rows), self.dim).astype(np.float32)


def _add_inverted_lists(aside: Path, manifest: DenseManifest, config: DenseConfig) -> DenseManifest:
    """Write the lists into `aside` and return `manifest` with what was chosen and measured."""
    stored = np.memmap(aside / VECTORS, np.float16, "r", shape=(manifest.n, manifest.dim))
    n_lists = 2 ** round(math.log2(2 * math.sqrt(manifest.n)))
    random = np.random.default_rng(manifest.seed)
    index = _trained_lists(stored, n_lists, config.training_points, random)
    for at in range(0, manifest.n, BLOCK):
        index.add(stored[at : at + BLOCK].astype(np.float32))
    faiss.write_index(index, str(aside / LISTS))
    update = {
        "kind": "inverted lists",
        "n_lists": n_lists,
        "memory_mapped": manifest.n >= config.mmap_from,
        "recall_target": config.recall_target,
        "n_queries": config.tuning_queries,
    }
    manifest = manifest.model_copy(update=update)
    tuned = _tuned(manifest, index, stored, VectorFile(aside / VECTORS, manifest.dim), random)
    return manifest.model_copy(update={"n_probe": tuned.n_probe, "recall_at_10": tuned.recall})


def _trained_lists(vectors: NDArray, n_lists: int, points: int, random: np.random.Generator) -> faiss.IndexIVF:
    n, dim = vectors.shape
    sample = np.sort(random.choice(n, min(n, points * n_lists), replace=False))
    n_codes = dim // 2 if dim % 2 == 0 and dim > NARROW else dim
    index = faiss.index_factory(dim, f"IVF{n_lists},PQ{n_codes}x4fs", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.seed = 8, int(random.integers(1, 2**31))
    index.cp.min_points_per_centroid = 1
    index.train(vectors[sample].astype(np.float32))
    return index


def _tuned(
    manifest: DenseManifest,
    index: faiss.Index,
    stored: NDArray,
    vectors: VectorFile,
    random: np.random.Generator,
) -> Tuned:
    queries = made_up_questions(stored, manifest.n_queries, random)
    opened = DenseIndex(manifest, index, np.arange(manifest.n), vectors, None)
    try:
        return tune(
            lambda query, n_probe: opened.search(query, 10, n_probe=n_probe)[1],
            queries,
            exact_thresholds(stored, queries),
            n_lists=manifest.n_lists,
            target=manifest.recall_target,
        )
    finally:
        opened.close()


def _scanned(path: Path, dim: int) -> faiss.Index:
    """Float16 is what the file holds and what the scan reads, so the vectors become codes as they are."""
    index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    codes = np.fromfile(path, np.uint8).reshape(-1, 2 * dim)
    if len(codes):
        index.add_sa_codes(codes)
    return index


def _read_lists(path: Path, mmap: bool) -> faiss.IndexIVF:
    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP if mmap else 0)
    lists = faiss.downcast_InvertedLists(index.invlists)
    if isinstance(lists, faiss.OnDiskInvertedLists):
        lists.prefetch_nthread = 0  # else every search starts threads, which costs more than the pages it waits for
    return index


def _on_gpu(path: Path, dim: int) -> faiss.Index | None:
    """The vectors on the GPU, compared exactly, where faiss-gpu and a device are there.

    Takes no filter: filtered searches stay on the CPU.
    """
    if not hasattr(faiss, "StandardGpuResources") or not faiss.get_num_gpus():
        return None
    config = faiss.GpuIndexFlatConfig()
    config.useFloat16 = True
    index = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), dim, config)
    stored = np.memmap(path, np.float16, "r").reshape(-1, dim)
    for at in range(0, len(stored), BLOCK):
        index.add(stored[at : at + BLOCK].astype(np.float32))
    return index


def _inner_products(vectors: Floats, query: Floats) -> Floats:
    """float32 [n]. Unlike a matrix product, adds each row up in the same order however many rows there are."""
    return np.einsum("ij,j->i", vectors, query)


def _check(folder: Path, manifest: DenseManifest, verify: bool | None) -> None:
    expected = {VECTORS, CHUNK_IDS} | ({LISTS} if manifest.kind == "inverted lists" else set())
    if set(manifest.files) != expected:
        raise IndexDamaged(f"The manifest of {folder.name} lists {sorted(manifest.files)}, not {sorted(expected)}.")
    for name, file in manifest.files.items():
        size = (folder / name).stat().st_size
        if size != file.size_bytes:
            raise IndexDamaged(f"{name} of the index {folder.name} has {size} bytes, not {file.size_bytes}.")
        hashed = size <= HASHED_BYTES if verify is None else verify
        if hashed and _sha256(folder / name) != file.sha256:
            raise IndexDamaged(f"{name} of the index {folder.name} is not the file that was written: its hash differs.")


def _save(path: Path, array: NDArray, dtype: type) -> None:
    with path.open("wb") as file:
        for at in range(0, len(array), BLOCK):
            np.ascontiguousarray(array[at : at + BLOCK], dtype).tofile(file)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
