"""Years of evaluations, verdicts, drift and traffic in one SQLite file, for measuring the dashboard: shaped like real ones, numbers by chance.

Rows of runs hold an answer of a few words and no chunks (0.3 kB, where real ones hold 3 to 10), so that ten million fit a laptop; pages
read them one at a time, so their size matters little. Written straight into SQLite: through the product it would take hours.
"""

import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from data.database import Database
from evals.digest import DIGITS

METRICS = ("token_f1", "support_rate", "recall@10", "citation_precision", "abstention_correct")
TOPICS = tuple(f"topic-{n}" for n in range(8))
N_SUITES = 20
DAYS = 730
SHAPES = 40
"""Runs of one shape share their values: what is read and drawn is the same amount."""
N_WATCHES, N_MONITORS, N_WINDOWS = 4, 30, 365
N_GATES, N_ALARMS, N_EVENTS, N_REQUESTS, N_POINTS = 2000, 200, 500, 200_000, 3000


@dataclass(frozen=True)
class Size:
    """`part` scales all that is not runs."""

    n_runs: int
    n_samples: int
    part: float = 1.0

    def of(self, n: int) -> int:
        return max(2, round(n * self.part))


def fill(path: Path, size: Size) -> None:
    """Into the new database at `path`; the schema is the product's own."""
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=off", "synchronous=off", "cache_size=-400000", "temp_store=memory"):
        connection.execute(f"pragma {pragma}")
    rng = random.Random(0)
    connection.execute("begin")
    _runs(connection, size, rng)
    _rows(connection, size)
    _gates(connection, size.of(N_GATES), rng)
    _drift(connection, size, rng)
    _traffic(connection, size, rng)
    connection.execute("commit")
    connection.execute("pragma journal_mode=wal")
    connection.execute("analyze")
    connection.close()


def run_id(n: int) -> str:
    return f"run_{n:012d}"


def suite_of(n: int) -> str:
    return f"suite-{n % N_SUITES:02d}"


def sample_id(n: int) -> str:
    return f"sample-{n:05d}"


def _at(n: int, n_all: int) -> str:
    """The time of the n-th of all, as SQLAlchemy writes it; the last is a few minutes old."""
    moment = datetime.now(UTC) - timedelta(days=DAYS * (1 - (n + 1) / n_all), minutes=5)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def _put(connection: sqlite3.Connection, table: str, rows: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> None:
    rows = iter(rows)
    first = next(rows)
    names = ", ".join(f'"{name}"' for name in first)
    marks = ", ".join("?" for _ in first)
    connection.execute(f"insert into {table} ({names}) values ({marks})", tuple(first.values()))
    connection.executemany(f"insert into {table} ({names}) values ({marks})", (tuple(row.values()) for row in rows))


def _runs(connection: sqlite3.Connection, size: Size, rng: random.Random) -> None:
    scores = np.random.default_rng(0)
    bodies = [_values(size, scores) for _ in range(SHAPES)]
    _put(connection, "eval_runs", (_run(n, size) for n in range(size.n_runs)))
    _put(connection, "eval_digests", (_digest(n, size) for n in range(size.n_runs)))
    _put(connection, "eval_values", ({"run_id": run_id(n), "body": bodies[n % SHAPES]} for n in range(size.n_runs)))
    _put(connection, "eval_metrics", (row for n in range(size.n_runs) for row in _metrics(n, size, rng)))
    asked = {"answer": "Yes.", "answerable": True}
    _put(
        connection,
        "eval_samples",
        (
            {
                "dataset": "d",
                "sample_id": sample_id(n),
                "body": json.dumps(
                    asked
                    | {
                        "question": f"What does case {n} of the handbook say about it?",
                        "slices": [f"topic={TOPICS[n % 8]}"],
                    }
                ),
            }
            for n in range(size.n_samples)
        ),
    )


def _run(n: int, size: Size) -> dict[str, Any]:
    moment = _at(n, size.n_runs)
    run = {
        "id": run_id(n),
        "suite": suite_of(n),
        "created_at": moment.replace(" ", "T") + "Z",
        "target": "the whole product",
        "status": "complete",
        "config": {
            "samples_sha256": "d",
            "scorers": [f"{name}@1" for name in METRICS],
            "suite": {"description": "x" * 1500},
        },
        "versions": {"assay": "0.1.0", "git": "0" * 40},
    }
    kept = {name: run[name] for name in ("id", "suite", "target", "status")}
    summary = {"n_rows": size.n_samples, "n_failed": 0, "n_cached": 0}
    return kept | {"fingerprint": "f", "created_at": moment, "body": json.dumps(run), "summary": json.dumps(summary)}


def _digest(n: int, size: Size) -> dict[str, Any]:
    counts = {"n_rows": size.n_samples, "n_cached": 0, "n_failed": 0, "seconds": 100.0}
    about = {"suite": suite_of(n), "target": "the whole product", "ref": "", "status": "complete", "dataset": "d"}
    tokens = {"prompt_tokens": 800 * size.n_samples, "completion_tokens": 60 * size.n_samples}
    return {"run_id": run_id(n), **about, "created_at": _at(n, size.n_runs), **counts, **tokens}


def _metrics(n: int, size: Size, rng: random.Random) -> Iterator[dict[str, Any]]:
    for part in ("", *(f"topic={name}" for name in TOPICS)):
        n_samples = size.n_samples if not part else size.n_samples // len(TOPICS)
        reach = 0.8 / n_samples**0.5
        for place, metric in enumerate(METRICS):
            mean = 0.7 + rng.gauss(0, reach / 2)
            yield {
                "run_id": run_id(n),
                "metric": metric,
                "slice": part,
                "place": place,
                "suite": suite_of(n),
                "ref": "",
                "created_at": _at(n, size.n_runs),
                "mean": mean,
                "low": mean - reach,
                "high": mean + reach,
                "n": n_samples,
                "n_clusters": max(2, n_samples // 3),
                "n_errors": 0,
                "higher_is_better": 1,
                "unit": "",
            }


def _values(size: Size, scores: np.random.Generator) -> str:
    cases = [(sample_id(n), 0, f"document-{n // 3}") for n in range(size.n_samples)]
    drawn = {name: [float(f"{v:.{DIGITS}g}") for v in scores.beta(7, 3, size.n_samples)] for name in METRICS}
    return json.dumps({"cases": cases, "values": drawn, "failed": [], "broken": []})


def _rows(connection: sqlite3.Connection, size: Size) -> None:
    """Every sample of every run: made inside SQLite, from one text a sample."""
    connection.execute("create temp table template (sample_id text, body text)")
    body = {
        "run_id": "@run",
        "sample_id": "@sample",
        "input_sha256": "0",
        "observation": {"answer": {"text": "Yes, it does.", "sentences": []}, "latency_ms": 20.0},
        "scores": [{"scorer": name, "value": 0.7} for name in METRICS],
    }
    text = json.dumps(body, separators=(",", ":"))
    made = ((sample_id(n), text.replace("@sample", sample_id(n))) for n in range(size.n_samples))
    connection.executemany("insert into template values (?, ?)", made)
    for n in range(size.n_runs):
        connection.execute(
            "insert into eval_rows (run_id, sample_id, repeat, body)"
            " select ?1, sample_id, 0, replace(body, '@run', ?1) from template",
            (run_id(n),),
        )


def _gates(connection: sqlite3.Connection, n_gates: int, rng: random.Random) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        for n in range(n_gates):
            said = rng.choice(("pass", "pass", "pass", "fail", "inconclusive"))
            refs = {"baseline": "current", "candidate": f"prompt:answer@{n}"}
            about = {"id": f"gate_{n:06d}", "suite": suite_of(n), "conclusion": said, **refs}
            yield about | {"created_at": _at(n, n_gates), "body": _report(about, _at(n, n_gates))}

    _put(connection, "gate_reports", rows())


def _report(about: dict[str, Any], at: str) -> str:
    reading = {"metric": "token_f1", "higher_is_better": True, "outcome": about["conclusion"], "why": "as it is"}
    numbers = {
        "margin": 0.05,
        "n_pairs": 900,
        "baseline": 0.7,
        "candidate": 0.7,
        "difference": 0.0,
        "low": -0.01,
        "high": 0.01,
    }
    told = {"suite": about["suite"], "conclusion": about["conclusion"], "created_at": at.replace(" ", "T") + "Z"}
    told |= {name: {"ref": about[name], "target": "t"} for name in ("baseline", "candidate")}
    told |= {"gates": [reading | numbers], "alpha": 0.05, "n_samples": 1000, "n_asked": 900, "n_errors": 0}
    return json.dumps(told | {"max_error_share": 0.05})


def _drift(connection: sqlite3.Connection, size: Size, rng: random.Random) -> None:
    checks, values, alarms = [], [], []
    n_windows, n_points = size.of(N_WINDOWS), size.of(N_POINTS)
    for watch in range(N_WATCHES):
        for n in range(n_windows):
            end = datetime.now(UTC) - timedelta(days=n_windows - n, minutes=9)
            about = {"id": f"chk_{watch}_{n}", "watch": f"watch-{watch}", "kind": "language", "outcome": "quiet"}
            times = {"created_at": end, "window_start": end - timedelta(days=1), "window_end": end}
            kept = {name: moment.strftime("%Y-%m-%d %H:%M:%S.%f") for name, moment in times.items()}
            facts = {name: moment.isoformat() for name, moment in times.items()}
            facts |= {
                "n_reference": 2000,
                "n_current": 500,
                "budget": 1.0,
                "budget_days": 30.0,
                "n_monitors": N_MONITORS,
            }
            checks.append(about | kept | {"body": json.dumps(about | facts)})
            for m in range(N_MONITORS):
                effect = {
                    "value": abs(rng.gauss(0, 0.02)),
                    "low": 0.0,
                    "high": 0.05,
                    "threshold": 0.06,
                    "is_alarm": False,
                }
                one = {"monitor": f"column.c{m:02d}.psi", "at": facts["window_end"], **effect}
                row = {"check_id": about["id"], "watch": about["watch"], **one, "at": kept["window_end"]}
                values.append(row | {"body": json.dumps(one)})
    for n in range(size.of(N_ALARMS)):
        opened = datetime.now(UTC) - timedelta(days=3 * n)
        about = {"id": f"alm_{n:06d}", "watch": f"watch-{n % N_WATCHES}", "kind": "language", "check_id": "chk_0_0"}
        facts = {"monitors": ["embedding.mmd"], "opened_at": opened.isoformat(), "cause": "Something", "harm": 0.01}
        facts |= {"closed_at": opened.isoformat() if n > 3 else None}
        stored = {"opened_at": _text(opened), "closed_at": _text(opened) if n > 3 else None, "harm": 0.01, "suite": ""}
        alarms.append({"id": about["id"], "watch": about["watch"], **stored, "body": json.dumps(about | facts)})
    points = [
        {
            "check_id": f"chk_0_{n_windows - 1}",
            "kind": "query" if n % 2 else "chunk",
            "x": rng.random(),
            "y": rng.random(),
        }
        | {"cluster": -1, "is_gap": 0, "label": f"Question number {n} about something?"}
        for n in range(n_points)
    ]
    for table, rows in (
        ("drift_checks", checks),
        ("drift_values", values),
        ("drift_alarms", alarms),
        ("drift_map_points", points),
    ):
        _put(connection, table, rows)


def _traffic(connection: sqlite3.Connection, size: Size, rng: random.Random) -> None:
    n_requests = size.of(N_REQUESTS)

    def requests() -> Iterator[dict[str, Any]]:
        for n in range(n_requests):
            about = {
                "receipt_id": f"r{n}",
                "tenant": "default",
                "collection": "",
                "question": "How long is leave?",
                "embedder": "m",
            }
            seen = {"embedding": bytes(768), "scores": "[0.5]", "chunk_ids": '["d#1"]', "abstained": 0, "support": 0.9}
            cost = {
                "length": 80,
                "latency_ms": 20.0,
                "prompt_tokens": 700,
                "completion_tokens": 60,
                "model": "m",
                "adapter": "",
            }
            yield about | {"at": _at(n, n_requests)} | seen | cost

    _put(connection, "watch_requests", requests())
    state = {"name": "support", "revision": 1}
    events = [
        {
            "name": f"support-{n % 10}",
            "revision": n,
            "action": rng.choice(("start", "promote", "rollback")),
            "version": str(n),
        }
        | {"at": _at(n, N_EVENTS), "who": "ana", "why": "the gate passed", "verdict_id": "", "state": json.dumps(state)}
        for n in range(size.of(N_EVENTS))
    ]
    _put(connection, "rollout_events", events)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
