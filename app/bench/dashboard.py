"""python -m app.bench.dashboard [--runs 10000] [--samples 1000]: how long the dashboard's views take over years of history.

Fills a database in a temporary folder (10,000 runs of 1,000 samples: 5 GB, minutes), serves it with `assay serve`, and asks for each
view with filters drawn by chance.
"""

import argparse
import http.client
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any
from urllib.parse import urlencode

import psutil

from app.bench.__main__ import machine
from app.bench.dashboard_history import METRICS, N_GATES, N_SUITES, N_WATCHES, TOPICS, Size, fill, run_id, sample_id
from app.bench.server import serving

PORT = 8767
LIMIT_MS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=40, help="requests for each view")
    given = parser.parse_args()
    size = Size(given.runs, given.samples)
    with tempfile.TemporaryDirectory(prefix="assay-dashboard-") as folder:
        home = Path(folder)
        (home / "var").mkdir()
        database = home / "var" / "assay.db"
        began, load = time.perf_counter(), round(os.getloadavg()[0], 1)
        fill(database, size)
        filled_s = round(time.perf_counter() - began)
        about = {"date": date.today().isoformat(), "machine": machine(), "load_before": load}
        about |= {
            "runs": size.n_runs,
            "samples": size.n_samples,
            "database_gb": round(database.stat().st_size / 1e9, 2),
        }
        print(json.dumps(about | {"filled_s": filled_s}), flush=True)
        with serving(home, PORT) as (url, process, _):
            asked = views(size, random.Random(1)).items()
            found = {name: timed(url, make, given.repeats, process) for name, make in asked}
    print(told(found))


def views(size: Size, rng: random.Random) -> dict[str, Callable[[], str]]:
    """By name, an address of the view with filters drawn by chance."""

    def run() -> int:
        return rng.randrange(N_SUITES, size.n_runs)

    def suite() -> str:
        return f"suite-{rng.randrange(min(N_SUITES, size.n_runs)):02d}"

    def page(rows: int) -> int:
        return rng.randint(1, max(1, rows // 50))

    def pair() -> dict[str, str]:
        after = run()
        return {"a": run_id(after - N_SUITES), "b": run_id(after)}

    def of(path: str, **query: Any) -> str:
        return f"/dashboard{path}?{urlencode(query)}"

    a_metric = lambda: rng.choice(METRICS)  # noqa: E731
    return {
        "overview": lambda: of(""),
        "runs": lambda: of("/runs", suite=suite(), metric=a_metric(), page=page(size.n_runs // N_SUITES)),
        "runs, trend of 1,000": lambda: of(
            "/runs", suite=suite(), metric=a_metric(), last=1000, format="json", table="trend"
        ),
        "runs of a slice": lambda: of("/runs", suite=suite(), slice=f"topic={rng.choice(TOPICS)}"),
        "run": lambda: of(f"/runs/{run_id(run())}", metric=a_metric(), page=page(size.n_samples)),
        "run, one slice": lambda: of(f"/runs/{run_id(run())}", slice=f"topic={rng.choice(TOPICS)}"),
        "sample": lambda: of(f"/runs/{run_id(run())}/sample", id=sample_id(rng.randrange(size.n_samples))),
        "compare": lambda: of("/compare", **pair(), metric=a_metric()),
        "slices": lambda: of("/slices", suite=suite(), metric=a_metric()),
        "gates": lambda: of("/gates", suite=suite()),
        "gate": lambda: of(f"/gates/gate_{rng.randrange(size.of(N_GATES)):06d}"),
        "drift": lambda: of("/drift", watch=f"watch-{rng.randrange(N_WATCHES)}", days=365),
        "alarms": lambda: of("/alarms"),
        "coverage": lambda: of("/coverage"),
        "rollouts": lambda: of("/rollouts"),
        "usage, 30 days": lambda: of("/usage", days=30),
        "usage, 365 days": lambda: of("/usage", days=365),
    }


@dataclass(frozen=True)
class Took:
    """`ms` until the whole page is there, of each request; `cpu_ms` of the server, on average, which other work does not change."""

    ms: tuple[float, ...]
    cpu_ms: float


def timed(url: str, make: Callable[[], str], repeats: int, process: psutil.Process) -> Took:
    """One connection, the first request included."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    took = []
    before = process.cpu_times()
    for _ in range(repeats):
        address = make()
        began = time.perf_counter()
        connection.request("GET", address)
        reply = connection.getresponse()
        body = reply.read()
        took.append((time.perf_counter() - began) * 1000)
        if reply.status != 200:
            raise RuntimeError(f"{address} answered {reply.status}: {body[:500]!r}")
    connection.close()
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return Took(tuple(took), 1000 * used / repeats)


def told(found: Mapping[str, Took]) -> str:
    """As Markdown, the slowest p95 first."""
    every = Took(tuple(ms for took in found.values() for ms in took.ms), fmean(took.cpu_ms for took in found.values()))
    lines = ["| view | p50, ms | p95, ms | slowest, ms | the server's CPU, ms |", "|---|---:|---:|---:|---:|"]
    rows = sorted(found.items(), key=lambda item: -_p95(item[1].ms))
    for name, took in [("**all of them**", every), *rows]:
        p50 = sorted(took.ms)[len(took.ms) // 2]
        lines.append(f"| {name} | {p50:.0f} | {_p95(took.ms):.0f} | {max(took.ms):.0f} | {took.cpu_ms:.0f} |")
    slow = [name for name, took in found.items() if _p95(took.ms) >= LIMIT_MS]
    return "\n".join([*lines, "", f"p95 of {LIMIT_MS} ms or more: {', '.join(slow) or 'none'}"])


def _p95(took: Sequence[float]) -> float:
    return quantiles(took, n=20)[-1] if len(took) > 1 else took[0]


if __name__ == "__main__":
    main()
