"""python -m app.bench.tabular [--home FOLDER]: single rows over HTTP, rows in bulk, and what each step costs. Prints JSON.

Trains the shipped `claims` config into FOLDER where no model is there yet (about a minute). Wall times depend on what else the machine
does: `load_before` and the processor's time are told beside them.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any

import numpy as np
import pandas as pd

from app.bench.__main__ import machine
from app.bench.server import serving
from app.settings import ROOT
from data.tabular.claims import generate_claims
from data.tabular.contract import faults_and_settled
from data.tabular.table_spec import ClaimsSource
from serving.tabular.batch import BatchConfig, score_partition, scoring_spec
from serving.tabular.model_store import ModelStore
from serving.tabular.predictor import Predictor

N_ROWS = 400_000
N_REQUESTS = 1_000
PORT = 8767


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "assay-bench" / "tabular")
    parser.add_argument("--only", default="steps,http,batch")
    given = parser.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    predictor = trained(given.home)
    about = {"date": date.today().isoformat(), "machine": machine(), "load_before": round(os.getloadavg()[0], 1)}
    found: dict[str, Any] = about | {
        "model": predictor.described() | {"n_features": predictor.model.features.n_features}
    }
    rows = requests()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "steps": lambda: steps(predictor, rows),
        "http": lambda: over_http(given.home, rows),
        "batch": lambda: in_bulk(predictor, given.home),
    }
    for name in given.only.split(","):
        found[name] = {"load_before": round(os.getloadavg()[0], 1)} | parts[name]()
    print(json.dumps(found, indent=2))


def trained(home: Path) -> Predictor:
    """The newest `claims` of `home`, trained now where there is none."""
    store = ModelStore(home / "var" / "tabular" / "models")
    if not store.versions("claims"):
        command = [sys.executable, "-m", "app", "tabular", "train", "claims", "tracking.enabled=false"]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"ASSAY_HOME": str(home)}, check=True)
        store = ModelStore(home / "var" / "tabular" / "models")
    return store.predictor("claims", store.versions("claims")[-1])


def requests(n: int = 200) -> list[dict[str, Any]]:
    """Claims that the model has not seen, as JSON has them, without the label."""
    frame = generate_claims(ClaimsSource(kind="claims", n_rows=n, seed=991)).claims
    lines = frame.drop(columns=["fraud", "label_known_at"]).to_dict("records")
    return [{name: _plain(value) for name, value in line.items()} for line in lines]


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def steps(predictor: Predictor, rows: list[dict[str, Any]], repeats: int = 2_000) -> dict[str, Any]:
    """One row in this process, by step: the contract, the features, the trees, all of it."""
    model = predictor.model
    matrix = model.matrix(rows[:1])
    calls: dict[str, Callable[[dict[str, Any]], Any]] = {
        "contract": lambda row: predictor.contract.check([row]),
        "features": lambda row: model.matrix([row]),
        "score": lambda row: model.scores_of_features(matrix),
        "all": lambda row: predictor.score_rows([row]),
    }
    out = {}
    for name, call in calls.items():
        for row in rows:
            call(row)
        walls, cpu = [], time.process_time()
        for at in range(repeats):
            began = time.perf_counter()
            call(rows[at % len(rows)])
            walls.append((time.perf_counter() - began) * 1e6)
        out[name] = {"p50_us": round(median(walls)), "cpu_us": round((time.process_time() - cpu) * 1e6 / repeats)}
    return out


def over_http(home: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """`assay serve` over loopback: one row per request, one connection, one request after another; every request is kept."""
    bodies = [json.dumps({"rows": [row]}).encode() for row in rows]
    with serving(home, PORT) as (url, process, _):
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        for body in bodies * 3:
            _ask(connection, body)
        before, walls, models = process.cpu_times(), [], []
        for at in range(N_REQUESTS):
            wall, inside = _ask(connection, bodies[at % len(bodies)])
            walls.append(wall)
            models.append(inside)
        after = process.cpu_times()
        connection.close()
    cuts = quantiles(walls, n=20)
    cpu_s = after.user + after.system - before.user - before.system
    return {
        "n": N_REQUESTS,
        "p50_ms": round(cuts[9], 2),
        "p95_ms": round(cuts[18], 2),
        "model_p50_ms": round(median(models), 2),
        "model_p95_ms": round(quantiles(models, n=20)[18], 2),
        "server_cpu_ms_a_request": round(cpu_s * 1000 / N_REQUESTS, 2),
    }


def _ask(connection: http.client.HTTPConnection, body: bytes) -> tuple[float, float]:
    """Milliseconds to the whole reply, and those that the server says its model took."""
    began = time.perf_counter()
    connection.request("POST", "/v1/models/claims/predict", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    content = reply.read()
    wall = (time.perf_counter() - began) * 1000
    if reply.status != 200:
        raise RuntimeError(f"The server answered {reply.status}: {content[:500]!r}")
    return wall, float(reply.headers["Server-Timing"].partition("dur=")[2])


def in_bulk(predictor: Predictor, home: Path, rounds: int = 3) -> dict[str, Any]:
    """Rows a second: of a file into a file, and of a frame in memory by step. The median of some rounds, after one that is not counted."""
    source = home / f"claims-{N_ROWS}.parquet"
    if not source.exists():
        made = generate_claims(ClaimsSource(kind="claims", n_rows=N_ROWS, n_policies=N_ROWS // 3, seed=992))
        made.claims.drop(columns=["fraud", "label_known_at"]).to_parquet(source, index=False)
    spec = scoring_spec(predictor)
    raw = pd.read_parquet(source, columns=list(spec.columns))
    settled, faults = faults_and_settled(raw, spec)
    matrix = predictor.model.features.transform(settled)
    result = home / "scores.parquet"

    def file_to_file() -> None:
        result.unlink(missing_ok=True)
        score_partition(predictor, source, result, BatchConfig())

    calls: dict[str, Callable[[], Any]] = {
        "file_to_file": file_to_file,
        "contract_features_score": lambda: predictor.score_table(faults_and_settled(raw, spec)[0]),
        "features_score": lambda: predictor.score_table(settled),
        "contract": lambda: faults_and_settled(raw, spec),
        "features": lambda: predictor.model.features.transform(settled),
        "score": lambda: predictor.model.scores_of_features(matrix),
    }
    return {"n_rows": N_ROWS, "n_faults": len(faults)} | {name: _rate(call, rounds) for name, call in calls.items()}


def _rate(call: Callable[[], Any], rounds: int) -> dict[str, int]:
    call()
    walls, cpus = [], []
    for _ in range(rounds):
        began, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
    return {"rows_per_s": round(N_ROWS / median(walls)), "rows_per_cpu_s": round(N_ROWS / mean(cpus))}


if __name__ == "__main__":
    main()
