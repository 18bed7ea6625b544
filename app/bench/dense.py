"""python -m app.bench.dense build|search FOLDER: one million vectors, built and searched each in a process of its own.

The vectors are real ones, perturbed: a + s (b - c), scaled to length 1, for three random passages a, b, c of a store of real
passages. The noise s (b - c) has twice the collection's own covariance, so it spreads along the directions that real texts
differ in; s is such that a made vector is as far from its passage as a real passage from its nearest neighbour (the median
cosine). Isotropic noise would be as far from every vector and make neighbourhoods that no text has. The queries are embedded
SQuAD questions, none of which the index was built or tuned on.
"""

import hashlib
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from app.settings import ROOT
from retrieval import dense_config, dense_index, dense_tuning
from retrieval.dense_config import DenseConfig
from retrieval.dense_index import VECTORS, DenseIndex, build_dense
from retrieval.dense_tuning import ROUNDING, exact_thresholds

Floats = NDArray[np.float32]
N, K, SEED = 1_000_000, 10, 0
BLOCK = 50_000
MADE, QUERIES, INDEX, BUILT = "made.f16", "queries.npy", "index", "built.json"
PROBES = (0.5, 1, 2, 4)
"""Lists probed, as multiples of the tuned number: how recall and time go together."""


def bench_million(real: Floats, queries: Floats, folder: Path) -> dict[str, Any]:
    """Recall and time of single queries on one thread, and memory, over `N` vectors made of `real` [n, dim]."""
    folder = folder / _state(real)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / BUILT).exists():
        shutil.rmtree(folder / INDEX, ignore_errors=True)
        scale = noise_scale(real)
        make(real, scale, folder / MADE)
        np.save(folder / QUERIES, queries)
        built = _child("build", folder)
        (folder / MADE).unlink()
        (folder / BUILT).write_text(json.dumps({"noise_scale": round(scale, 3)} | built))
    return json.loads((folder / BUILT).read_text()) | _child("search", folder)


def noise_scale(real: Floats, sample: int = 2000) -> float:
    """Return s with median cos(a, a + s (b - c)) = median cosine of a real vector with its nearest other one."""
    random = np.random.default_rng(SEED)
    a, b, c = (real[random.integers(len(real), size=sample)] for _ in range(3))
    cosines = a @ real.T
    cosines[cosines > 1 - 1e-3] = -1  # itself and exact duplicates
    wanted = float(np.median(cosines.max(axis=1)))
    low, high = 0.0, 2.0
    for _ in range(30):
        middle = (low + high) / 2
        reached = np.median((a * _unit(a + middle * (b - c))).sum(axis=1))
        low, high = (middle, high) if reached > wanted else (low, middle)
    return (low + high) / 2


def make(real: Floats, scale: float, path: Path, n: int = N) -> None:
    """Write `n` made vectors as float16, block by block."""
    random = np.random.default_rng(SEED)
    with path.open("wb") as file:
        for at in range(0, n, BLOCK):
            a, b, c = (real[random.integers(len(real), size=min(BLOCK, n - at))] for _ in range(3))
            _unit(a + scale * (b - c)).astype(np.float16).tofile(file)


def build(folder: Path) -> dict[str, Any]:
    """Build the index as the product does. Peak memory is this process's, which does nothing else."""
    queries = np.load(folder / QUERIES)
    made = np.memmap(folder / MADE, np.float16, "r").reshape(-1, queries.shape[1])
    began, cpu = time.perf_counter(), time.process_time()
    manifest = build_dense(made, np.arange(len(made)), DenseConfig(), folder / INDEX, seed=SEED)
    return {
        "n_vectors": manifest.n,
        "n_lists": manifest.n_lists,
        "n_probe": manifest.n_probe,
        "tuned_recall_at_10": manifest.recall_at_10,
        "build_s": round(time.perf_counter() - began),
        "build_cpu_s": round(time.process_time() - cpu),
        "build_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def search(folder: Path) -> dict[str, Any]:
    """Ask every query once to warm up, then once for the clock; then again with fewer and with more lists."""
    queries = np.load(folder / QUERIES)
    before = psutil.Process().memory_info().rss
    index = DenseIndex.open(folder / INDEX)
    at_open = psutil.Process().memory_info().rss
    _timed(index, queries, index.manifest.n_probe)
    resident = psutil.Process().memory_info().rss
    stored = np.memmap(folder / INDEX / VECTORS, np.float16, "r").reshape(-1, queries.shape[1])
    thresholds = exact_thresholds(stored, queries)
    n = index.manifest.n
    by_probes = {
        probes: _timed(index, queries, probes) | {"recall_at_10": _recall(index, queries, thresholds, probes)}
        for probes in (max(1, round(index.manifest.n_probe * share)) for share in PROBES)
    }
    return {
        "n_queries": len(queries),
        **by_probes[index.manifest.n_probe],
        "bytes_a_vector_resident_at_open": round((at_open - before) / n),
        "bytes_a_vector_resident_after_queries": round((resident - before) / n),
        "bytes_a_vector_on_disk": round(sum(p.stat().st_size for p in (folder / INDEX).iterdir()) / n),
        "by_lists_probed": by_probes,
    }


def _timed(index: DenseIndex, queries: Floats, n_probe: int) -> dict[str, float]:
    walls, cpus = [], []
    for query in queries:
        began, cpu = time.perf_counter(), time.process_time()
        index.search(query, K, n_probe=n_probe)
        walls.append((time.perf_counter() - began) * 1000)
        cpus.append((time.process_time() - cpu) * 1000)
    cuts = quantiles(walls, n=20)
    return {
        "p50_ms": round(cuts[9], 2),
        "p95_ms": round(cuts[18], 2),
        "cpu_p50_ms": round(quantiles(cpus, n=20)[9], 2),
    }


def _recall(index: DenseIndex, queries: Floats, thresholds: Floats, n_probe: int) -> float:
    found = [
        np.count_nonzero(index.search(query, K, n_probe=n_probe)[1] >= least - ROUNDING)
        for query, least in zip(queries, thresholds, strict=True)
    ]
    return round(float(np.mean(found)) / K, 4)


def _unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _state(real: Floats) -> str:
    """What a built index depends on: the vectors, and the code that makes, builds and tunes."""
    digest = hashlib.sha256(real.tobytes())
    for module in (sys.modules[__name__], dense_config, dense_index, dense_tuning):
        digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()[:12]


def _child(what: str, folder: Path) -> dict[str, Any]:
    command: Sequence[str] = (sys.executable, "-m", "app.bench.dense", what, str(folder))
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    print(json.dumps({"build": build, "search": search}[sys.argv[1]](Path(sys.argv[2]))))
