"""docs/benchmarks.md from docs/benchmarks.json: what was promised beside what was measured, then every figure."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAD = """# Benchmarks

Written by `make bench` (`python -m app.bench`, one part with `--only`): don't edit. Ratios compare things measured in one run on one
machine, so they carry over to other machines better than the absolute times do. "Load" is the load average of the machine
before the part began: above 0.5, others were working on it and times are upper bounds.
"""
HOW = {
    "ingest": "Files on disk to searchable (read, chunk, embed, index, commit) against sentence-transformers' `encode` with its "
    "defaults (fp32, batch 32) of the same passages, alternating. `cpu` is the processor time of each, in passages a second.",
    "precision": "nDCG@10 of exact dense search, documents and queries encoded in int8 or fp32. `loss` is fp32 minus the pair, mean "
    "and 95 % bootstrap interval over queries. The product encodes both in int8.",
    "query": "`Assay.search` over a persisted store: embed, BM25, dense, fusion, fetch. The ensemble is LangChain's, of FAISS and BM25, over "
    "the same chunks with the same weights; ours is measured before and after it and the slower of the two is shown.",
    "server": "`assay serve` as a process over the same store. Overhead is an answer's wall time at the client less its stages' times. "
    "Resident memory is the process's RSS, files it has mapped included.",
    "million": "One million vectors made of real passages' vectors (how: `app/bench/dense.py`), searched with embedded questions, one at a "
    "time on one thread. Resident bytes are the growth of the process's RSS, with the pages of the memory-mapped lists that the queries "
    "touched. Not in it: the float16 vectors that candidates are scored with again, read by position and left to the page cache.",
}


@dataclass(frozen=True)
class Promise:
    part: str
    what: str
    limit: str
    measured: Callable[[dict[str, Any]], float | int | bool]
    holds: Callable[[Any], bool]


def _worst_loss(found: dict[str, Any]) -> float:
    key = "loss_int8_documents_int8_queries"
    return max(row[key]["mean"] for row in found.values() if isinstance(row, dict))


PROMISES = (
    Promise("ingest", "Ingest over sentence-transformers' encode", ">= 2.2", lambda f: f["ratio"], lambda v: v >= 2.2),
    Promise("precision", "nDCG@10 lost to int8, worst collection", "<= 0.003", _worst_loss, lambda v: v <= 0.003),
    Promise("query", "Hybrid query p50, ms", "<= 12", lambda f: f["hybrid"]["p50_ms"], lambda v: v <= 12),
    Promise(
        "query",
        "Hybrid query p95 over p50",
        "<= 3",
        lambda f: round(f["hybrid"]["p95_ms"] / f["hybrid"]["p50_ms"], 2),
        lambda v: v <= 3,
    ),
    Promise("query", "p50 over LangChain's ensemble", "<= 0.5", lambda f: f["ratio_to_langchain"], lambda v: v <= 0.5),
    Promise(
        "query", "Queries a second, 8 clients", ">= 120", lambda f: f["queries_per_s_8_clients"], lambda v: v >= 120
    ),
    Promise("server", "`assay serve` ready, s", "<= 4", lambda f: f["ready_s"], lambda v: v <= 4),
    Promise("server", "Resident when ready, MB", "<= 700", lambda f: f["resident_mb_ready"], lambda v: v <= 700),
    Promise("server", "torch loaded", "no", lambda f: f["torch_loaded"], lambda v: v is False),
    Promise("server", "`assay --help`, s", "<= 0.5", lambda f: f["help_s"], lambda v: v <= 0.5),
    Promise(
        "server",
        "Overhead of an answer, p50, ms",
        "<= 8",
        lambda f: f["overhead"]["over_stages_p50_ms"],
        lambda v: v <= 8,
    ),
    Promise("server", "200 streams: dropped", "0", lambda f: f["streams_200"]["dropped"], lambda v: v == 0),
    Promise(
        "server",
        "Growth over 10,000 requests, MB",
        "<= 30",
        lambda f: f["requests_10000"]["resident_mb_after"] - f["requests_10000"]["resident_mb_after_1000"],
        lambda v: v <= 30,
    ),
    Promise("million", "Dense query p50, ms", "<= 3", lambda f: f["p50_ms"], lambda v: v <= 3),
    Promise("million", "recall@10", ">= 0.95", lambda f: f["recall_at_10"], lambda v: v >= 0.95),
    Promise(
        "million",
        "Resident bytes a vector",
        "<= 700",
        lambda f: f["bytes_a_vector_resident_after_queries"],
        lambda v: v <= 700,
    ),
)


def write(results: dict[str, Any], path: Path) -> None:
    """Write the page; parts that were not measured are said to be missing."""
    lines = [HEAD, "| promise | limit | measured | holds | load |", "|---|---|---|---|---|"]
    lines += [_row(promise, results.get(promise.part)) for promise in PROMISES]
    for part, how in HOW.items():
        if part in results:
            found = results[part]
            lines += [
                "",
                f"## {part}",
                "",
                f"{how} {found['date']}, {found['machine']}, load {found['load_before']}.",
                "",
            ]
            lines += ["| figure | value |", "|---|---|", *_figures(found)]
    path.write_text("\n".join(lines) + "\n")


def _row(promise: Promise, found: dict[str, Any] | None) -> str:
    if found is None:
        return f"| {promise.what} | {promise.limit} | not measured | | |"
    value = promise.measured(found)
    shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
    holds = "yes" if promise.holds(value) else "**no**"
    return f"| {promise.what} | {promise.limit} | {shown} | {holds} | {found['load_before']} |"


def _figures(found: dict[str, Any], prefix: str = "") -> list[str]:
    rows: list[str] = []
    for name, value in found.items():
        if name in ("date", "machine", "load_before"):
            continue
        if isinstance(value, dict):
            rows += _figures(value, f"{prefix}{name}: ")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            rows.append(f"| {prefix}{name} | {shown} |")
    return rows
