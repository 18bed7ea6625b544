"""The main dense index: built once over float16 vectors, immutable, on disk. Knows nothing of documents.

Up to `exact_up_to` rows: exact scan of float16 codes. Beyond: inverted lists of 8-bit codes find candidates, which are
scored again exactly from the float16 vectors beside them, so scores are true inner products in both cases.
"""

import hashlib
import os
import shutil
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from data.errors import IndexDamaged
from retrieval.dense_config import DenseConfig

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
REFINE = 8
"""Candidates scored again per wanted result."""
SCAN_SHARE = 0.02
"""A filter that admits less than this share of the rows is answered by scanning just those rows."""
BLOCK = 65_536


class DenseManifest(BaseModel):
    """What was chosen and why. `recall_at_10` is measured on `n_queries` held-out queries (1 for exact search)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    n: int
    dim: int
    n_lists: int = 0
    n_probe: int = 0
    recall_at_10: float = 1.0
    recall_target: float = 1.0
    n_queries: int = 0
    seed: int = 0
    files: dict[str, str] = {}
    """sha256 by file name."""


def build_dense(vectors: NDArray, chunk_ids: Ids, config: DenseConfig, folder: Path, *, seed: int = 0) -> DenseManifest:
    """Build, tune and save an index over unit `vectors` [n, dim] (float16 or float32) with int64 `chunk_ids` [n].

    Written beside `folder` and renamed at the end: `folder` either holds a whole index or does not exist.
    """
    aside = folder.with_name(folder.name + ".building")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    n, dim = vectors.shape
    _save(aside / "vectors.f16", np.ascontiguousarray(vectors, np.float16))
    _save(aside / "chunk_ids.i64", np.ascontiguousarray(chunk_ids, np.int64))
    stored = np.memmap(aside / "vectors.f16", np.float16, "r", shape=(n, dim))
    if n <= config.exact_up_to:
        index, facts = _exact(stored), {"kind": "exact float16"}
    else:
        index, facts = _inverted_lists(stored, config, seed)
    faiss.write_index(index, str(aside / "codes.faiss"))
    _flush(aside / "codes.faiss")
    files = {path.name: _sha256(path) for path in sorted(aside.iterdir())}
    manifest = DenseManifest(n=n, dim=dim, seed=seed, recall_target=config.recall_target, files=files, **facts)
    (aside / "manifest.json").write_text(manifest.model_dump_json(indent=2))
    _flush(aside / "manifest.json")
    os.replace(aside, folder)
    _flush(folder.parent)
    return manifest


class DenseIndex:
    """An opened index. Searches are single-threaded, deterministic and safe from many Python threads."""

    def __init__(
        self, folder: Path, manifest: DenseManifest, index: faiss.Index, chunk_ids: Ids, vectors: NDArray
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.chunk_ids = chunk_ids
        self._index = index
        self._vectors = vectors
        self._by_id = np.argsort(chunk_ids, kind="stable")

    @staticmethod
    def open(folder: Path, *, config: DenseConfig | None = None, verify: bool = False) -> "DenseIndex":
        """Open what `build_dense` wrote; `verify` re-hashes every file. Raises: IndexDamaged."""
        config = config or DenseConfig()
        try:
            manifest = DenseManifest.model_validate_json((folder / "manifest.json").read_text())
            _check(folder, manifest, verify=verify)
            flags = faiss.IO_FLAG_MMAP if manifest.n >= config.mmap_from else 0
            index = faiss.read_index(str(folder / "codes.faiss"), flags)
            chunk_ids = np.fromfile(folder / "chunk_ids.i64", np.int64)
            vectors = np.memmap(folder / "vectors.f16", np.float16, "r", shape=(manifest.n, manifest.dim))
        except (OSError, ValueError, RuntimeError) as error:
            raise IndexDamaged(f"The index {folder.name} cannot be read: {error}.") from error
        if len(chunk_ids) != manifest.n or index.ntotal != manifest.n:
            raise IndexDamaged(f"The index {folder.name} holds {index.ntotal} rows, its manifest says {manifest.n}.")
        if manifest.n_probe:
            faiss.extract_index_ivf(index).nprobe = manifest.n_probe
        return DenseIndex(folder, manifest, index, chunk_ids, vectors)

    def search(self, query: Floats, k: int, *, allowed: Mask | None = None) -> tuple[Ids, Floats]:
        """Return up to `k` (chunk ids, inner products), best first, ties by chunk id.

        `allowed` [n] is applied inside the search: k results are k allowed results while so many exist.
        """
        n_allowed = self.manifest.n if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, n_allowed)
        if k == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        query = np.ascontiguousarray(query, np.float32)
        if allowed is not None and n_allowed <= max(SCAN_SHARE * self.manifest.n, 4 * k):
            rows = np.flatnonzero(allowed)
        else:
            rows = self._candidates(query, k, allowed)
        scores = self._vectors[rows].astype(np.float32) @ query
        best = np.lexsort((self.chunk_ids[rows], -scores))[:k]
        return self.chunk_ids[rows[best]], scores[best]

    def vectors_of(self, chunk_ids: Ids) -> Floats:
        """float32 [len(chunk_ids), dim] of chunks that the index holds."""
        rows = self._by_id[np.searchsorted(self.chunk_ids, chunk_ids, sorter=self._by_id)]
        return self._vectors[rows].astype(np.float32)

    def _candidates(self, query: Floats, k: int, allowed: Mask | None) -> Ids:
        selector = None if allowed is None else faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        wanted = k if not self.manifest.n_probe else min(REFINE * k, self.manifest.n)
        n_probe = self.manifest.n_probe
        while True:
            _, rows = self._index.search(query[None], wanted, params=self._parameters(selector, n_probe))
            rows = rows[0][rows[0] >= 0]
            if len(rows) >= k or n_probe >= self.manifest.n_lists:
                return rows
            n_probe = min(4 * n_probe, self.manifest.n_lists)  # a filter emptied the lists: look into more

    def _parameters(self, selector, n_probe: int):
        if n_probe:
            return faiss.SearchParametersIVF(sel=selector, nprobe=n_probe)
        return faiss.SearchParameters(sel=selector) if selector is not None else None


def _exact(vectors: NDArray) -> faiss.Index:
    index = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    for at in range(0, len(vectors), BLOCK):
        index.add(vectors[at : at + BLOCK].astype(np.float32))
    return index


def _inverted_lists(vectors: NDArray, config: DenseConfig, seed: int) -> tuple[faiss.Index, dict]:
    """IVF with 8-bit codes: 4 sqrt(n) lists (the FAISS guidelines' choice), an HNSW over their centroids."""
    n, dim = vectors.shape
    n_lists = int(2 ** np.round(np.log2(4 * np.sqrt(n))))
    random = np.random.default_rng(seed)
    sample = np.sort(random.choice(n, min(n, 40 * n_lists), replace=False))
    index = faiss.index_factory(dim, f"IVF{n_lists}_HNSW32,SQ8", faiss.METRIC_INNER_PRODUCT)
    clustering = faiss.extract_index_ivf(index).cp
    clustering.seed, clustering.niter, clustering.spherical = seed or 1234, 8, True
    index.train(vectors[sample].astype(np.float32))
    for at in range(0, n, BLOCK):
        index.add(vectors[at : at + BLOCK].astype(np.float32))
    n_probe, recall = _tuned(index, vectors, config, random)
    facts = {"kind": "IVF, 8-bit codes, exact rescoring", "n_lists": n_lists, "n_probe": n_probe}
    return index, facts | {"recall_at_10": recall, "n_queries": config.tuning_queries}


def _tuned(index: faiss.Index, vectors: NDArray, config: DenseConfig, random: np.random.Generator) -> tuple[int, float]:
    """The fewest lists to probe that reach the recall target.

    Queries are stored vectors moved by noise to a cosine of about 0.7 with themselves: a question is near to its
    answer and not equal to it, so no query finds itself for free.
    """
    n, dim = vectors.shape
    picked = vectors[np.sort(random.choice(n, config.tuning_queries, replace=False))].astype(np.float32)
    queries = picked + random.normal(scale=1 / np.sqrt(dim), size=picked.shape).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    truth = _exact_top(vectors, queries, 10)
    lists = faiss.extract_index_ivf(index)
    n_probe, recall = 1, 0.0
    while True:
        lists.nprobe = n_probe
        _, rows = index.search(queries, 10 * REFINE)
        found = [_rescored(vectors, q, r[r >= 0], 10) for q, r in zip(queries, rows, strict=True)]
        recall = float(np.mean([len(set(f) & set(t)) / 10 for f, t in zip(found, truth, strict=True)]))
        if recall >= config.recall_target or n_probe >= lists.nlist:
            return n_probe, round(recall, 4)
        n_probe = min(max(n_probe + 1, int(n_probe * 1.4)), lists.nlist)


def _exact_top(vectors: NDArray, queries: Floats, k: int) -> Ids:
    best_rows, best_scores = np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), np.float32)
    for at in range(0, len(vectors), BLOCK):
        scores = queries @ vectors[at : at + BLOCK].astype(np.float32).T
        rows = np.broadcast_to(np.arange(at, at + scores.shape[1]), scores.shape)
        best_scores, best_rows = np.concatenate([best_scores, scores], 1), np.concatenate([best_rows, rows], 1)
        keep = np.argsort(-best_scores, axis=1, kind="stable")[:, :k]
        best_scores, best_rows = np.take_along_axis(best_scores, keep, 1), np.take_along_axis(best_rows, keep, 1)
    return best_rows


def _rescored(vectors: NDArray, query: Floats, rows: Ids, k: int) -> Ids:
    return rows[np.argsort(-(vectors[rows].astype(np.float32) @ query), kind="stable")[:k]]


def _check(folder: Path, manifest: DenseManifest, *, verify: bool) -> None:
    expected = {"vectors.f16": 2 * manifest.n * manifest.dim, "chunk_ids.i64": 8 * manifest.n}
    for name, digest in manifest.files.items():
        path = folder / name
        if name in expected and path.stat().st_size != expected[name]:
            raise IndexDamaged(
                f"{name} of the index {folder.name} has {path.stat().st_size} bytes, not {expected[name]}."
            )
        if verify and _sha256(path) != digest:
            raise IndexDamaged(f"{name} of the index {folder.name} is not the file that was written: its hash differs.")


def _save(path: Path, array: NDArray) -> None:
    array.tofile(path)
    _flush(path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
