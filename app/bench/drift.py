"""python -m app.bench.drift [quiet|shift|tables|employment|speed|log] [--data FOLDER] [--n 100] [--seed 0]: figures of docs/drift.md, as JSON lines

Parts are run one by one and may be run in pieces: pieces of other seeds add up. Vectors of the questions are computed once (--work).
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from app.bench.corpus import _rows
from app.settings import ROOT
from evals.drift.config import LanguageWatch, TabularWatch, load_watch, parse_watch
from evals.drift.simulation import Questions, quiet_months, quiet_tables, shift_delays, spearman

N_REFERENCE = 2000
N_WINDOW = 400


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=sorted(PARTS))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "assay-bench")
    parser.add_argument("--n", type=int, default=100, help="months or repeats")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began, cpu = time.perf_counter(), time.process_time()
    found = PARTS[given.part](given)
    out = {"part": given.part, "n": given.n, "seed": given.seed, "date": f"{datetime.now(UTC):%Y-%m-%d}", **found}
    out |= {"seconds": round(time.perf_counter() - began, 1), "cpu_s": round(time.process_time() - cpu, 1)}
    out["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    out["machine"] = f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}"
    print(json.dumps(out), flush=True)
    return 0


def language(window_days: float = 7.0) -> LanguageWatch:
    """Four weeks a month; thresholds by noise alone (least 0), so that the budget is what holds false alarms down."""
    nothing = (
        "embedding.classifier",
        "embedding.mmd",
        "embedding.centroid",
        "embedding.frechet",
        "requests.similarity",
    )
    nothing += (
        "requests.supported",
        "requests.length",
        "requests.latency_ms",
        "requests.tokens",
        "requests.abstained",
        "coverage.far",
    )
    watch = parse_watch(
        {
            "name": "bench",
            "kind": "language",
            "budget": {"false_alarms": 1, "days": 28},
            "window": {"days": window_days},
            "effects": ["classifier", "mmd", "centroid", "frechet"],
            "least": dict.fromkeys(nothing, 0.0),
        }
    )
    assert isinstance(watch, LanguageWatch)
    return watch


def quiet(given: argparse.Namespace) -> dict[str, Any]:
    """Months of SQuAD questions without drift."""
    found = quiet_months(
        language(), _questions(given)[0], n_months=given.n, n_reference=N_REFERENCE, n_window=N_WINDOW, seed=given.seed
    )
    return {"budget": 1.0, "false_alarms_per_month": found.per_month, "by_monitor": dict(found.alarms)}


def shift(given: argparse.Namespace) -> dict[str, Any]:
    """A tenth of the questions about nine articles that are new, as `assay drift check questions` is set."""
    questions, chunks = _questions(given)
    watch = load_watch("questions")
    assert isinstance(watch, LanguageWatch)
    delays = [
        d
        for d, _ in shift_delays(
            watch, questions, knowledge_of=chunks, n_repeats=given.n, n_reference=N_REFERENCE, seed=given.seed
        )
    ]
    first = [d.first if d.first is not None else 9999 for d in delays]
    found = Counter(name for d in delays for name, at in d.by_monitor.items() if at is not None and at <= 500)
    return {
        "delays": [int(n) for n in first],
        "median_delay": float(np.median(first)),
        "p90_delay": float(np.quantile(first, 0.9)),
        "share_within_500": float(np.mean(np.array(first) <= 500)),
        "within_500_by_monitor": {name: n / given.n for name, n in found.items()},
    }


def tables(given: argparse.Namespace) -> dict[str, Any]:
    """Months of adult without drift, a window of 300 rows each day, thresholds by noise alone."""
    from data.tabular.table import load_table
    from data.tabular.table_spec import load_spec

    spec = load_spec("adult")
    names = [f"{kind}.{column}" for kind in ("column", "missing", "new") for column in spec.columns]
    watch = parse_watch(
        {
            "name": "bench",
            "kind": "tabular",
            "table": "adult",
            "budget": {"false_alarms": 1, "days": 28},
            "window": {"days": 7},
            "least": dict.fromkeys([*names, "target", "multivariate.classifier", "multivariate.reconstruction"], 0.0),
        }
    )
    assert isinstance(watch, TabularWatch)
    table = load_table(spec)
    found = quiet_tables(watch, spec, table, n_months=given.n, n_reference=8000, n_window=1000, seed=given.seed)
    return {"budget": 1.0, "false_alarms_per_month": found.per_month, "by_monitor": dict(found.alarms)}


def employment(given: argparse.Namespace) -> dict[str, Any]:
    """Windows of 5,000 people of 2016 to 2018, ranked by estimated loss of accuracy, beside what their labels say."""
    from data.tabular.table import load_table
    from data.tabular.table_spec import load_spec
    from evals.drift.harm import table_harm, true_loss
    from evals.drift.tabular import TableBaseline

    watch, spec = load_watch("employment"), load_spec("employment")
    assert isinstance(watch, TabularWatch)
    table = load_table(spec)
    baseline = TableBaseline(watch, spec, table[table["year"] == 2015])
    later = table[table["year"] > 2015]
    rows = [later.iloc[at : at + 5000] for at in range(0, len(later) - 4999, 5000)]
    harms = [table_harm(baseline, window, n_draws=20) for window in rows]
    realised = np.array([true_loss(baseline, window) for window in rows], float)
    values = [baseline.compare(window, datetime.now(UTC)) for window in rows]
    scores = {"estimated loss (all columns)": np.array([h.total for h in harms], float)}
    scores["estimated loss (largest column)"] = np.array([max(h.by_column.values()) for h in harms])
    scores["largest JS distance"] = np.array(
        [max(v.value or 0 for v in vs if v.monitor.startswith("column.")) for vs in values]
    )
    years = {str(y): later[later["year"] == y] for y in (2016, 2017, 2018)}
    return {
        "n_windows": len(rows),
        "spearman_with_true_loss": {name: spearman(score, realised) for name, score in scores.items()},
        "true_loss_range": [float(realised.min()), float(realised.max())],
        "mean_absolute_error": float(np.abs(scores["estimated loss (all columns)"] - realised).mean()),
        "by_year": {
            y: {"true": true_loss(baseline, f), "estimated": table_harm(baseline, f, n_draws=20).total}
            for y, f in years.items()
        },
        "estimated": scores["estimated loss (all columns)"].round(5).tolist(),
        "true": realised.round(5).tolist(),
    }


def evidently(given: argparse.Namespace) -> dict[str, Any]:
    """evidently's defaults on the windows of `shift` (500 questions, a tenth new, or none) and of `employment`."""
    from data.tabular.table import load_table
    from data.tabular.table_spec import load_spec
    from evals.drift import evidently_reports
    from evals.drift.harm import true_loss
    from evals.drift.tabular import TableBaseline

    questions, _ = _questions(given)
    rng = np.random.default_rng(given.seed)
    titles = sorted(set(questions.about))
    said: dict[str, list[bool]] = {}
    for _ in range(given.n):
        is_new = np.isin(questions.about.astype(str), rng.choice(titles, 9, replace=False))
        old = rng.permutation(np.flatnonzero(~is_new))
        fresh = rng.choice(np.flatnonzero(is_new), 50, replace=False)
        for name, rows in (("quiet", old[2000:2500]), ("shift", np.concatenate([old[2000:2450], fresh]))):
            found = evidently_reports.embedding_verdicts(questions.vectors[old[:2000]], questions.vectors[rows])
            for method, (_, is_drift) in found.items():
                said.setdefault(f"{name}.{method}", []).append(is_drift)
    watch, spec = load_watch("employment"), load_spec("employment")
    assert isinstance(watch, TabularWatch)
    table = load_table(spec)
    names = [*spec.features, watch.score]
    baseline = TableBaseline(watch, spec, table[table["year"] == 2015])
    later = table[table["year"] > 2015]
    rows = [later.iloc[at : at + 5000] for at in range(0, len(later) - 4999, 5000)]
    shares = np.array([evidently_reports.table_verdict(baseline.reference[names], window[names])[0] for window in rows])
    realised = np.array([true_loss(baseline, window) for window in rows], float)
    return {
        "drift_called": {name: float(np.mean(found)) for name, found in said.items()},
        "employment_share_of_drifted_columns": {"min": float(shares.min()), "max": float(shares.max())},
        "employment_spearman": spearman(shares, realised) if shares.std() else None,
    }


def speed(given: argparse.Namespace) -> dict[str, Any]:
    """100k x 384 vectors against 100k: every effect and 100 permutations. Random, for the arithmetic is the same."""
    from evals.drift.embeddings import EmbeddingReference

    rng = np.random.default_rng(given.seed)
    sides = []
    for _ in range(2):
        side = rng.standard_normal((100_000, 384), dtype=np.float32)
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        sides.append(side)
    laps, cpu = {}, {}
    began, used = time.perf_counter(), time.process_time()
    reference = EmbeddingReference(sides[0])
    for name in ("classifier", "mmd", "centroid", "frechet"):
        reference.compare(sides[1], 0.01, (name,))
        laps[name], cpu[name] = round(time.perf_counter() - began, 2), round(time.process_time() - used, 2)
        began, used = time.perf_counter(), time.process_time()
    reference.permutation_p(sides[1], 100)
    laps["permutations"], cpu["permutations"] = (
        round(time.perf_counter() - began, 2),
        round(time.process_time() - used, 2),
    )
    return {
        "laps_s": laps,
        "total_s": round(sum(laps.values()), 2),
        "laps_cpu_s": cpu,
        "total_cpu_s": round(sum(cpu.values()), 2),
    }


def table_speed(given: argparse.Namespace) -> dict[str, Any]:
    """1M rows x 30 columns (20 numbers, 10 words) against as many."""
    import pandas as pd

    from data.tabular.table_spec import parse_spec
    from evals.drift.tabular import TableBaseline

    rng = np.random.default_rng(given.seed)
    columns = {f"n{k}": {"kind": "number"} for k in range(20)} | {
        f"w{k}": {"kind": "category", "nullable": k % 2 == 0} for k in range(10)
    }
    spec = parse_spec({"name": "wide", "source": {"kind": "csv", "paths": ["none.csv"]}, "columns": columns}, "bench")

    def made(n: int) -> pd.DataFrame:
        numbers = {f"n{k}": rng.standard_normal(n) for k in range(20)}
        words = {
            f"w{k}": pd.Categorical.from_codes(
                rng.integers(-1 if k % 2 == 0 else 0, 12, n), [f"v{j}" for j in range(12)]
            )
            for k in range(10)
        }
        return pd.DataFrame(numbers | words)

    watch = parse_watch({"name": "wide", "kind": "tabular", "table": "wide"})
    assert isinstance(watch, TabularWatch)
    reference, window = made(1_000_000), made(1_000_000)
    began, used = time.perf_counter(), time.process_time()
    baseline = TableBaseline(watch, spec, reference)
    fitted = time.perf_counter() - began
    values = baseline.compare(window, datetime.now(UTC))
    laps = {"fit_s": round(fitted, 2), "total_s": round(time.perf_counter() - began, 2)}
    return laps | {"total_cpu_s": round(time.process_time() - used, 2), "n_monitors": len(values)}


def log(given: argparse.Namespace) -> dict[str, Any]:
    """What the request log adds to an answer: `embedded` and `seen` on a real receipt, while the writer writes."""
    from app.watch import RequestWatch
    from app.watch_config import WatchConfig
    from data.database import Database
    from data.records import Answer, Principal, Query, Receipt
    from evals.drift.requests import RequestStore

    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/assay.db")
        database.migrate()
        watch = RequestWatch(RequestStore(database), WatchConfig())
        asker, vector = Principal(), np.ones(384, np.float32) / 384**0.5
        laps = []
        for n in range(given.n):
            text = f"How many weeks of parental leave do employees get, asked for the {n}th time?"
            answer = Answer(text="Twenty-two weeks.", sentences=())
            receipt = Receipt(
                id=f"rcpt_{n}", created_at=datetime.now(UTC), principal=asker, question=text, search_text=text,
                query=Query(text=text), snapshot_id="s", hits=(), answer=answer,
            )  # fmt: skip
            began = time.perf_counter()
            watch.embedded(text, "e", vector)
            watch.seen(receipt)
            laps.append((time.perf_counter() - began) * 1000)
            time.sleep(0.002)
        watch.close()
        database.close()
    return {"p50_ms": float(np.median(laps)), "p99_ms": float(np.quantile(laps, 0.99)), "counts": watch.counts}


def summed(_: argparse.Namespace) -> dict[str, Any]:
    """Pieces on standard input, JSON lines, added up by part."""
    pieces = [json.loads(line) for line in sys.stdin if line.strip()]
    found: dict[str, Any] = {}
    for part in ("quiet", "tables"):
        mine = [piece for piece in pieces if piece["part"] == part]
        months = sum(piece["n"] for piece in mine)
        alarms = sum((Counter(piece["by_monitor"]) for piece in mine), Counter())
        if months:
            found[part] = {
                "months": months,
                "false_alarms_per_month": alarms.total() / months,
                "by_monitor": dict(alarms.most_common()),
            }
    mine = [piece for piece in pieces if piece["part"] == "shift"]
    if mine:
        delays = sorted(delay for piece in mine for delay in piece["delays"])
        found["shift"] = {
            "repeats": len(delays),
            "median_delay": float(np.median(delays)),
            "p90_delay": float(np.quantile(delays, 0.9)),
            "share_within_500": float(np.mean(np.array(delays) <= 500)),
        }
    return found


def _questions(given: argparse.Namespace) -> tuple[Questions, dict[str, np.ndarray]]:
    """SQuAD's questions with the vectors of the shipped encoder, and the vectors of its paragraphs by article."""
    rows = list(_rows(given.data / "qa_squad_dev" / "v1.1.jsonl.gz"))
    paragraphs = {row["context_id"]: row for row in rows}
    texts = [row["question"].strip() for row in rows]
    asked = _vectors(given, "squad-questions", texts, "query")
    held = _vectors(given, "squad-paragraphs", [row["context"] for row in paragraphs.values()], "document")
    titles = np.array([row["title"] for row in paragraphs.values()])
    nearness = np.concatenate([(asked[at : at + 512] @ held.T).max(axis=1) for at in range(0, len(asked), 512)])
    about = np.array([row["title"] for row in rows], dtype=object)
    return Questions(tuple(texts), asked, nearness.astype(np.float64), about), {
        t: held[titles == t] for t in sorted(set(titles))
    }


def _vectors(given: argparse.Namespace, name: str, texts: list[str], kind: str) -> np.ndarray:
    path = given.work / f"{name}.npy"
    if not path.exists():
        from serving.local.encoder import MiniLMEncoder

        given.work.mkdir(parents=True, exist_ok=True)
        np.save(path, MiniLMEncoder(cache=ROOT / "var" / "models").embed(texts, kind=kind).astype(np.float16))
    return np.load(path).astype(np.float32)


PARTS = {
    "quiet": quiet,
    "shift": shift,
    "tables": tables,
    "employment": employment,
    "evidently": evidently,
    "speed": speed,
    "table-speed": table_speed,
    "log": log,
    "sum": summed,
}

if __name__ == "__main__":
    sys.exit(main())
