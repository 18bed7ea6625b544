"""assay eval rerank --beir DIR --json"""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.console import AsJson, print_json
from app.commands.progress import bar


def rerank(
    beir: Annotated[
        Path, typer.Option(help="A folder with corpus.jsonl[.gz], queries.jsonl[.gz] and qrels.tsv.", file_okay=False)
    ],
    queries: Annotated[int, typer.Option(min=0, help="Ask only so many, drawn with --seed; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of that draw.")] = 0,
    rows: Annotated[Path | None, typer.Option(help="Write one JSON line per query and order to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure what the reranker adds to hybrid search on a judged collection: nDCG@10 of both orders of the same queries, the
    difference with its interval, and how long putting the first 50 in order takes.

    The documents are ingested into a store of their own below var/eval and kept for the next run.
    """
    from app.judged_store import Reranked, judged_store, search_of
    from app.telemetry import configure_logging
    from data.errors import NotFound
    from data.records import SearchMode
    from evals.reranking import compare
    from evals.retrieval import evaluate, load_collection, sampled, write_rows

    configure_logging("warning")
    collection = sampled(load_collection(beir), queries, seed)
    with bar("Ingesting", len(collection.documents)) as stored, judged_store(collection, stored) as assay:
        if assay.reranker is None:
            raise NotFound(
                "There is no reranker to measure.",
                next_step="Put its adapter into serving/local/adapters/reranker; set ASSAY_SEARCH__RERANKED=answers.",
            )
        snapshot, reranked = assay.keeper.snapshot(), Reranked(assay, collection)
        with bar("Asking, hybrid", len(collection.queries)) as asked:
            before = evaluate(collection, search_of(assay, SearchMode.HYBRID), asked)
        with bar("Asking, reranked", len(collection.queries)) as asked:
            after = evaluate(collection, reranked, asked)
        search = assay.stores.search
        facts = {
            "collection": collection.name,
            "n_documents": len(collection.documents),
            "n_queries": len(collection.queries),
            "n_chunks": snapshot.n_chunks,
            "snapshot": snapshot.id,
            "embedder": snapshot.embedder,
            "reranker": assay.reranker.id,
            "n_reranked": search.rerank,
            "n_read": search.reads,
        } | compare(before, after, reranked.took_ms)
    if rows is not None:
        write_rows(rows, {"hybrid": before, "reranked": after})
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def _print(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"{facts['collection']}: {facts['n_documents']} documents, {facts['n_chunks']} chunks, "
        f"{facts['n_queries']} queries, {facts['embedder']}, {facts['reranker']}"
    )
    table = Table("order", "nDCG@10", "recall@10", "MRR@10")
    for name in ("hybrid", "reranked"):
        table.add_row(name, *(f"{facts[name][key]:.4f}" for key in ("ndcg_at_10", "recall_at_10", "mrr_at_10")))
    console.print(table)
    gained = facts["difference"]["ndcg_at_10"]
    low, high = gained["interval_95"]
    console.print(
        f"nDCG@10 reranked - hybrid: {gained['mean']:+.4f} (95 % {low:+.4f} .. {high:+.4f}); "
        f"{facts['better']} queries better, {facts['worse']} worse"
    )
    console.print(
        f"Reranking {facts['n_reranked']}, {facts['n_read']} of them read: "
        f"p50 {facts['rerank_p50_ms']:.0f} ms, p95 {facts['rerank_p95_ms']:.0f} ms"
    )
