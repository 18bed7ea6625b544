"""The dense index with its vectors on a CUDA device against the same index on the processor."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.dense_config import DenseConfig
from retrieval.dense_index import DenseIndex, build_dense

DIM = 384
N_CENTRES = 2000
N_QUERIES = 200
SPREAD = 0.6


def bench_dense(n: int, random: np.random.Generator, *, on_gpu: bool, dim: int = DIM) -> dict[str, Any]:
    """p50 of a search and recall@10 of `n` made-up vectors in weak clusters, on the processor and where there is one on a device."""
    centres = random.standard_normal((min(N_CENTRES, n // 4), dim), np.float32)
    vectors = _near(centres, n, random).astype(np.float16)
    queries = _near(centres, N_QUERIES, random)
    exact = [set(np.argsort(-(vectors.astype(np.float32) @ query))[:10].tolist()) for query in queries]
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "dense"
        build_dense(vectors, np.arange(n), DenseConfig(exact_up_to=1000), built)
        out: dict[str, Any] = {"n_vectors": n}
        for place in ("on the processor", "on the device") if on_gpu else ("on the processor",):
            out[place] = _searched(DenseIndex.open(built, gpu=place == "on the device"), queries, exact)
    return out


def _near(centres: NDArray[np.float32], n: int, random: np.random.Generator) -> NDArray[np.float32]:
    picked = centres[random.integers(len(centres), size=n)]
    moved = picked + SPREAD * random.standard_normal(picked.shape, np.float32)
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def _searched(index: DenseIndex, queries: NDArray[np.float32], exact: list[set[int]]) -> dict[str, float]:
    times, n_right = [], 0
    for query, right in zip(queries, exact, strict=True):
        began = time.perf_counter()
        ids, _ = index.search(query, 10)
        times.append((time.perf_counter() - began) * 1000)
        n_right += len(right & set(ids.tolist()))
    return {"p50_ms": round(float(np.median(times)), 3), "recall_at_10": round(n_right / (10 * len(queries)), 4)}
