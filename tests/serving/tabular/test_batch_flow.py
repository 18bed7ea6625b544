import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from serving.tabular.prefect_server import local_api
from tests.running_server import clean_environment
from tests.serving.tabular.stores import put_model, request_rows

pytestmark = pytest.mark.slow


def run_flow(home: Path, api: str, *args: str) -> subprocess.CompletedProcess:
    """In a process of its own, as a schedule would start it."""
    command = [sys.executable, "-m", "serving.tabular.batch_flow", *args]
    environment = clean_environment(PREFECT_HOME=str(home / "prefect"), PREFECT_API_URL=api)
    return subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=280)


def reports(done: subprocess.CompletedProcess) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_the_flow_scores_partitions_once_and_one_broken_partition_stops_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    store = put_model(tmp_path / "models")
    sources = tmp_path / "in"
    sources.mkdir()
    rows = request_rows(30)
    pd.DataFrame(rows).to_parquet(sources / "a.parquet")
    pd.DataFrame([rows[0] | {"purpose": "boat"}]).to_parquet(sources / "b.parquet")
    args = (str(store.folder("loans", "1")), str(sources), str(tmp_path / "out"))

    with local_api() as api:
        broken = run_flow(tmp_path, api, *args)
        assert broken.returncode != 0
        assert "'boat' is not one of car, house, other" in broken.stderr
        scored = pd.read_parquet(tmp_path / "out" / "a.parquet")
        assert scored["score"].tolist() == store.predictor("loans").model.scores(rows).tolist()
        assert not (tmp_path / "out" / "b.parquet").exists()

        pd.DataFrame(rows[:1]).to_parquet(sources / "b.parquet")
        mended = run_flow(tmp_path, api, *args)
        assert mended.returncode == 0, mended.stderr[-3000:]
        assert [(one["n_scored"], one["is_cached"]) for one in reports(mended)] == [(30, True), (1, False)]
