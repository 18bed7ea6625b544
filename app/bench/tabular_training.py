"""python -m app.bench.tabular_training carclaims adult --seeds 0,1: `assay tabular train` against thirty plain lines, same rows, same run.

Writes docs/tabular-training.json. The plain model gets the same columns, the same training rows and a search of its own.
"""

import argparse
import json
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from app.bench.plain_xgboost import figures, plain_scores
from app.settings import ROOT, load_settings
from app.tabular import Done, train_table_model
from finetune.tabular.config import load_config

OUT = ROOT / "docs" / "tabular-training.json"
N_RESAMPLES = 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="+")
    parser.add_argument("--seeds", default="0", help="of the split: who is held out")
    parser.add_argument("--trials", type=int, default=12, help="of the plain model's search")
    given = parser.parse_args()
    found = json.loads(OUT.read_text()) if OUT.exists() else {}
    for name in given.configs:
        for seed in given.seeds.split(","):
            found.setdefault(name, {})[seed] = compared(name, int(seed), given.trials)
            print(json.dumps({name: found[name][seed]}, indent=1))
    OUT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return 0


def compared(name: str, seed: int, n_trials: int) -> dict[str, Any]:
    """Figures of both on the held-out rows, and the interval of their difference."""
    with tempfile.TemporaryDirectory() as home:
        begun, used = time.monotonic(), time.process_time()
        loaded = load_config(name, ["tracking.enabled=false", "quality=false", f"split.seed={seed}"])
        done = train_table_model(loaded, load_settings(home=Path(home)), log=print)
        ours_s, ours_cpu_s = time.monotonic() - begun, time.process_time() - used
    begun, used = time.monotonic(), time.process_time()
    scores = _plain(done, n_trials)
    plain_s, plain_cpu_s = time.monotonic() - begun, time.process_time() - used
    outcome = done.trained.outcome
    return {
        "date": date.today().isoformat(),
        "n_held_out": len(outcome.labels),
        "n_positive": int(outcome.labels.sum()),
        "assay": _rounded(figures(outcome.labels, outcome.scores)),
        "plain": _rounded(figures(outcome.labels, scores)),
        "difference": difference(outcome.labels, outcome.scores, scores),
        "seconds": _rounded({"assay": ours_s, "assay_cpu": ours_cpu_s, "plain": plain_s, "plain_cpu": plain_cpu_s}),
    }


def difference(
    labels: np.ndarray, ours: np.ndarray, plain: np.ndarray, n_resamples: int = N_RESAMPLES
) -> dict[str, list[float]]:
    """Ours less the plain one's, with the 95 % interval of a bootstrap over the same rows."""
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, len(labels), len(labels)) for _ in range(n_resamples)]
    gaps = [_gap(labels[at], ours[at], plain[at]) for at in drawn]
    told = {}
    for metric, value in _gap(labels, ours, plain).items():
        low, high = np.quantile([gap[metric] for gap in gaps], [0.025, 0.975])
        told[metric] = [round(float(one), 4) for one in (value, low, high)]
    return told


def _gap(labels: np.ndarray, ours: np.ndarray, plain: np.ndarray) -> dict[str, float]:
    theirs = figures(labels, plain)
    return {metric: value - theirs[metric] for metric, value in figures(labels, ours).items()}


def _plain(done: Done, n_trials: int) -> np.ndarray:
    rows = done.trained.rows
    columns = list(done.model.features.columns)
    frame = rows.frame[columns].copy()
    for name in columns:
        if pd.api.types.is_datetime64_any_dtype(frame[name].dtype):
            frame[name] = frame[name].astype("int64")
        elif frame[name].dtype == "boolean":
            frame[name] = frame[name].astype("float64")
    train, test = rows.split.development, rows.split.test
    return plain_scores(frame.iloc[train], rows.labels[train], frame.iloc[test], n_trials)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


if __name__ == "__main__":
    raise SystemExit(main())
