"""assay eval retrieval --beir DIR --mode hybrid --json"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.console import AsJson, print_json
from app.commands.progress import bar
from data.records import SearchMode


class Modes(StrEnum):
    LEXICAL = "lexical"
    DENSE = "dense"
    HYBRID = "hybrid"
    ALL = "all"


def retrieval(
    beir: Annotated[
        Path, typer.Option(help="A folder with corpus.jsonl[.gz], queries.jsonl[.gz] and qrels.tsv.", file_okay=False)
    ],
    mode: Annotated[Modes, typer.Option(help="Which search to measure; `all` compares the three.")] = Modes.HYBRID,
    queries: Annotated[int, typer.Option(min=0, help="Ask only so many, drawn with --seed; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of that draw.")] = 0,
    rows: Annotated[Path | None, typer.Option(help="Write one JSON line per query and mode to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure nDCG@10, recall@10, MRR@10 and latency of the product's search on a judged collection.

    The documents are ingested into a store of their own below var/eval and kept for the next run.
    """
    from app.judged_store import judged_store, search_of
    from app.telemetry import configure_logging
    from evals.retrieval import evaluate, load_collection, sampled, write_rows

    configure_logging("warning")
    collection = sampled(load_collection(beir), queries, seed)
    chosen = [m for m in SearchMode if mode in (m.value, Modes.ALL)]
    with bar("Ingesting", len(collection.documents)) as stored, judged_store(collection, stored) as assay:
        snapshot = assay.keeper.snapshot()
        reports = {}
        for one in chosen:
            with bar(f"Asking, {one.value}", len(collection.queries)) as asked:
                reports[one.value] = evaluate(collection, search_of(assay, one), asked)
    if rows is not None:
        write_rows(rows, reports)
    facts = {
        "collection": collection.name,
        "n_documents": len(collection.documents),
        "n_queries": len(collection.queries),
        "n_chunks": snapshot.n_chunks,
        "snapshot": snapshot.id,
        "embedder": snapshot.embedder,
    }
    if mode is Modes.ALL:
        facts["modes"] = {name: report.measures() for name, report in reports.items()}
        facts["hybrid_against_better_part"] = _comparison(reports)
    else:
        facts |= {"mode": mode.value} | reports[mode.value].measures()
    if as_json:
        print_json(facts)
    else:
        _print_table(facts, {name: report.measures() for name, report in reports.items()})


def _comparison(reports: dict[str, Any]) -> dict[str, Any]:
    """nDCG@10 of hybrid less that of the better part, with its 95 % interval over queries."""
    from evals.retrieval import paired_difference

    part = max(("lexical", "dense"), key=lambda name: reports[name].ndcg_at_10)
    ours, theirs = ([row.ndcg for row in reports[name].rows] for name in ("hybrid", part))
    difference = paired_difference(ours, theirs)
    return {
        "part": part,
        "ndcg_at_10": round(difference.mean, 5),
        "interval_95": [round(difference.low, 5), round(difference.high, 5)],
    }


def _print_table(facts: dict[str, Any], measures: dict[str, dict[str, float]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"{facts['collection']}: {facts['n_documents']} documents, {facts['n_chunks']} chunks, "
        f"{facts['n_queries']} queries, {facts['embedder']}"
    )
    table = Table("mode", "nDCG@10", "recall@10", "MRR@10", "p50 ms", "p95 ms")
    for name, m in measures.items():
        quality = [f"{m[key]:.4f}" for key in ("ndcg_at_10", "recall_at_10", "mrr_at_10")]
        table.add_row(name, *quality, f"{m['latency_p50_ms']:.1f}", f"{m['latency_p95_ms']:.1f}")
    console.print(table)
    if against := facts.get("hybrid_against_better_part"):
        low, high = against["interval_95"]
        console.print(f"hybrid - {against['part']}: {against['ndcg_at_10']:+.4f} (95 % {low:+.4f} .. {high:+.4f})")
