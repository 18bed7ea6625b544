"""What int8 costs in quality: nDCG@10 of dense search with int8 and with fp32 vectors, on judged collections.

Exact search, one vector per document, no chunking and no fusion, so that nothing else differs.
"""

import hashlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.retrieval import CUTOFF, JudgedCollection, load_collection, ndcg, paired_difference, sampled, squad_to_beir
from serving.config import EncoderConfig
from serving.local.encoder import GRAPH_VERSION, MiniLMEncoder

Vectors = NDArray[np.float32]
N_QUERIES = 6000
EXACT = ("fp32", "fp32")


def bench_precision(data: Path, work: Path) -> dict[str, Any]:
    """nDCG@10 by collection and by precision of (documents, queries), with what each loses against fp32 for both."""
    squad = squad_to_beir(data / "qa_squad_dev" / "v1.1.jsonl.gz", work / "qa_squad_dev")
    return {
        folder.name: _losses(sampled(load_collection(folder), N_QUERIES), work)
        for folder in (squad, data / "retrieval_cisi")
    }


def _losses(collection: JudgedCollection, work: Path) -> dict[str, Any]:
    texts = [f"{d.title}\n{d.text}".strip() for d in collection.documents]
    questions = list(collection.queries.values())
    documents = {p: vectors(p, texts, work) for p in ("fp32", "int8")}
    queries = {p: vectors(p, questions, work) for p in ("fp32", "int8")}
    scores = {
        (d, q): [ndcg(found, collection.judgements[i]) for i, found in _found(collection, documents[d], queries[q])]
        for d, q in product(documents, queries)
    }
    out: dict[str, Any] = {"n_documents": len(texts), "n_queries": len(questions)}
    out["ndcg_10_fp32"] = round(float(np.mean(scores[EXACT])), 4)
    for pair in scores.keys() - {EXACT}:
        lost = paired_difference(scores[EXACT], scores[pair])
        interval = [round(lost.low, 4), round(lost.high, 4)]
        out[f"loss_{pair[0]}_documents_{pair[1]}_queries"] = {"mean": round(lost.mean, 4), "interval_95": interval}
    return out


def _found(collection: JudgedCollection, documents: Vectors, queries: Vectors):
    for identity, vector in zip(collection.queries, queries, strict=True):
        best = np.argsort(-(documents @ vector), kind="stable")[:CUTOFF]
        yield identity, [collection.documents[row].id for row in best]


def vectors(precision: str, texts: Sequence[str], work: Path) -> Vectors:
    """float32 [len(texts), 384] of the built-in encoder at `precision`; embedded once and kept by the texts' hash."""
    encoder = MiniLMEncoder(EncoderConfig(document_precision=precision), cache=work / "models")
    digest = hashlib.sha256("\x00".join((encoder.id, str(GRAPH_VERSION), *texts)).encode()).hexdigest()
    path = work / f"vectors-{digest[:16]}.npy"
    if not path.exists():
        np.save(path, encoder.embed(texts))
    return np.load(path)
