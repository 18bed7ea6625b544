"""Measures a search function on a test collection in BEIR layout. Knows no retrieval: it takes any callable.

A collection is a folder with corpus.jsonl[.gz] (`_id`, `title`, `text`), queries.jsonl[.gz] (`_id`, `text`) and qrels.tsv (a
header line, then query id, document id, grade). Thakur et al. 2021, arXiv:2104.08663.
"""

import gzip
import io
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from data.errors import InvalidInput

CUTOFF = 10
Search = Callable[[str, int], Sequence[str]]
"""Question and k to document ids, best first."""
Judgements = Mapping[str, int]
"""Document id to grade; 0 and absent mean irrelevant."""


@dataclass(frozen=True)
class CorpusDocument:
    id: str
    title: str
    text: str


@dataclass(frozen=True)
class JudgedCollection:
    """Documents, and the judged queries only: one without a relevant document says nothing about a ranking."""

    name: str
    documents: tuple[CorpusDocument, ...]
    queries: Mapping[str, str]
    judgements: Mapping[str, Judgements]


class QueryRow(BaseModel):
    """The measures of one query."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query_id: str
    ndcg: float
    recall: float
    reciprocal_rank: float
    latency_ms: float
    found: tuple[str, ...]


class RetrievalReport(BaseModel):
    """Means over queries, all at rank 10; latency in milliseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    collection: str
    n_documents: int
    n_queries: int
    ndcg_at_10: float
    recall_at_10: float
    mrr_at_10: float
    latency_p50_ms: float
    latency_p95_ms: float
    rows: tuple[QueryRow, ...]

    def measures(self) -> dict[str, float]:
        """The means alone, rounded for printing."""
        quality = {name: round(getattr(self, name), 5) for name in ("ndcg_at_10", "recall_at_10", "mrr_at_10")}
        return quality | {name: round(getattr(self, name), 3) for name in ("latency_p50_ms", "latency_p95_ms")}


@dataclass(frozen=True)
class Difference:
    """Mean of a - b over the same queries, with a 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def load_collection(folder: Path) -> JudgedCollection:
    """Read a folder in BEIR layout. Raises: InvalidInput, naming file and line."""
    folder = Path(folder)
    documents = tuple(
        CorpusDocument(str(row["_id"]), row.get("title") or "", row["text"])
        for row in _rows(folder, "corpus", ("_id", "text"))
    )
    judgements = _judgements(folder / "qrels.tsv")
    queries = {str(row["_id"]): row["text"] for row in _rows(folder, "queries", ("_id", "text"))}
    judged = {q: text for q, text in queries.items() if any(grade > 0 for grade in judgements.get(q, {}).values())}
    if not documents or not judged:
        raise InvalidInput(
            f"{folder} has {len(documents)} documents and {len(judged)} judged queries; each must be at least one.",
            field="folder",
            next_step="Check that the ids in qrels.tsv are those of queries.jsonl.",
        )
    return JudgedCollection(folder.name, documents, judged, {q: judgements[q] for q in judged})


def sampled(collection: JudgedCollection, n: int, seed: int = 0) -> JudgedCollection:
    """Return the collection with `n` of its queries, drawn with `seed` and in their own order; 0 keeps them all."""
    if not 0 < n < len(collection.queries):
        return collection
    drawn = set(random.Random(seed).sample(sorted(collection.queries), n))
    queries = {q: text for q, text in collection.queries.items() if q in drawn}
    return replace(collection, queries=queries, judgements={q: collection.judgements[q] for q in queries})


def evaluate(
    collection: JudgedCollection, search: Search, report: Callable[[int], None] = lambda _: None
) -> RetrievalReport:
    """Ask every judged query once, in order, and measure what comes back. `report` hears how many were asked."""
    rows = []
    for query_id, question in collection.queries.items():
        start = time.perf_counter()
        found = tuple(search(question, CUTOFF))[:CUTOFF]
        elapsed_ms = (time.perf_counter() - start) * 1000
        grades = collection.judgements[query_id]
        rows.append(
            QueryRow(
                query_id=query_id,
                ndcg=ndcg(found, grades),
                recall=recall(found, grades),
                reciprocal_rank=reciprocal_rank(found, grades),
                latency_ms=elapsed_ms,
                found=found,
            )
        )
        report(len(rows))
    latencies = [row.latency_ms for row in rows]
    return RetrievalReport(
        collection=collection.name,
        n_documents=len(collection.documents),
        n_queries=len(rows),
        ndcg_at_10=float(np.mean([row.ndcg for row in rows])),
        recall_at_10=float(np.mean([row.recall for row in rows])),
        mrr_at_10=float(np.mean([row.reciprocal_rank for row in rows])),
        latency_p50_ms=float(np.percentile(latencies, 50)),
        latency_p95_ms=float(np.percentile(latencies, 95)),
        rows=tuple(rows),
    )


def ndcg(found: Sequence[str], grades: Judgements, k: int = CUTOFF) -> float:
    """Normalised discounted cumulative gain, the grade itself as gain (trec_eval; Järvelin & Kekäläinen 2002)."""
    ideal = _dcg(sorted((g for g in grades.values() if g > 0), reverse=True)[:k])
    return _dcg([max(grades.get(d, 0), 0) for d in _distinct(found)[:k]]) / ideal if ideal else 0.0


def recall(found: Sequence[str], grades: Judgements, k: int = CUTOFF) -> float:
    """The share of relevant documents that are among the first k."""
    relevant = {d for d, grade in grades.items() if grade > 0}
    return len(relevant & set(_distinct(found)[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(found: Sequence[str], grades: Judgements, k: int = CUTOFF) -> float:
    """One over the rank of the first relevant document among the first k, else 0."""
    return next((1 / rank for rank, d in enumerate(_distinct(found)[:k], 1) if grades.get(d, 0) > 0), 0.0)


def paired_difference(a: Sequence[float], b: Sequence[float], *, n_resamples: int = 2000, seed: int = 0) -> Difference:
    """Bootstrap the mean difference of two systems on the same queries (percentile method, Efron & Tibshirani 1993)."""
    if len(a) != len(b) or not len(a):
        raise InvalidInput(f"a has {len(a)} values and b {len(b)}; they must be of one length above 0.", field="a")
    differences = np.asarray(a, float) - np.asarray(b, float)
    picks = np.random.default_rng(seed).integers(0, len(differences), (n_resamples, len(differences)))
    low, high = np.percentile(differences[picks].mean(axis=1), [2.5, 97.5])
    return Difference(float(differences.mean()), float(low), float(high))


def write_rows(path: Path, reports: Mapping[str, RetrievalReport]) -> None:
    """One JSON line per report and query; `mode` names the report."""
    with path.open("w", encoding="utf-8") as file:
        for name, report in reports.items():
            for row in report.rows:
                file.write(json.dumps({"mode": name} | row.model_dump(mode="json"), ensure_ascii=False) + "\n")


def squad_to_beir(source: Path, folder: Path) -> Path:
    """Write SQuAD rows (jsonl[.gz]: id, context_id, context, question) as a collection: question to its paragraph."""
    with _opened(Path(source)) as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    contexts = {row["context_id"]: row["context"] for row in rows}
    _write(folder / "corpus.jsonl", ({"_id": i, "title": "", "text": text} for i, text in contexts.items()))
    _write(folder / "queries.jsonl", ({"_id": row["id"], "text": row["question"]} for row in rows))
    qrels = "".join(f"{row['id']}\t{row['context_id']}\t1\n" for row in rows)
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + qrels, "utf-8")
    return folder


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def _distinct(found: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(found))


def _rows(folder: Path, stem: str, fields: tuple[str, ...]) -> Iterator[dict]:
    path = next((p for p in (folder / f"{stem}.jsonl", folder / f"{stem}.jsonl.gz") if p.exists()), None)
    if path is None:
        raise InvalidInput(
            f"{folder} has neither {stem}.jsonl nor {stem}.jsonl.gz.",
            field="folder",
            next_step="Name a folder in BEIR layout: corpus.jsonl, queries.jsonl, qrels.tsv.",
        )
    with _opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InvalidInput(f"{path}, line {number} is not JSON: {error}", field="folder") from error
            if not isinstance(row, dict) or any(name not in row for name in fields):
                raise InvalidInput(f"{path}, line {number} must be an object with {', '.join(fields)}.", field="folder")
            yield row


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    if not path.exists():
        raise InvalidInput(f"{path} does not exist.", field="folder", next_step="qrels.tsv stands beside corpus.jsonl.")
    out: dict[str, dict[str, int]] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines()[1:], 2):
        try:
            query, document, grade = line.split("\t")
            out.setdefault(query, {})[document] = int(grade)
        except ValueError as error:
            raise InvalidInput(
                f"{path}, line {number} is '{line[:80]}'; it must be query id, document id and whole grade between tabs.",
                field="folder",
            ) from error
    return out


def _opened(path: Path) -> io.TextIOBase:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def _write(path: Path, rows: Iterator[dict]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
