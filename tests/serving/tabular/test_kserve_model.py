"""KServe's own server over loopback, REST and gRPC, asked with the rows that the API is asked with."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.running_server import clean_environment, free_port
from tests.serving.tabular.stores import put_model, request_rows

pytestmark = pytest.mark.slow


def _started(folder: Path, log: Path, *more: str) -> tuple[subprocess.Popen, int, int]:
    http, grpc = free_port(), free_port()
    command = [
        sys.executable,
        "-m",
        "serving.tabular.kserve_model",
        "--model_name",
        "loans",
        "--model_dir",
        str(folder),
    ]
    ports = ["--http_port", str(http), "--grpc_port", str(grpc), *more]
    with log.open("w") as errors:
        process = subprocess.Popen([*command, *ports], env=clean_environment(), stdout=errors, stderr=errors)
    return process, http, grpc


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return put_model(tmp_path_factory.mktemp("kserve"))


@pytest.fixture(scope="module")
def model(store):
    return store.predictor("loans").model


@pytest.fixture(scope="module")
def served(store, tmp_path_factory) -> Iterator[tuple[str, int]]:
    log = tmp_path_factory.mktemp("log") / "kserve.log"
    process, http, grpc = _started(store.folder("loans", "1"), log, "--model_digest", store.digest("loans", "1"))
    base, deadline = f"http://127.0.0.1:{http}", time.monotonic() + 200
    try:
        while True:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            try:
                if httpx.get(f"{base}/v2/health/ready", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield base, grpc
    finally:
        process.terminate()
        process.wait(60)


def tensors(rows: list[dict], model) -> list[dict]:
    from serving.tabular.open_inference import DATATYPES

    kinds = {name: model.spec.columns[name].kind for name in model.features.columns}
    return [
        {"name": name, "shape": [len(rows)], "datatype": DATATYPES[kind], "data": [row[name] for row in rows]}
        for name, kind in kinds.items()
    ]


def test_the_server_tells_its_model_and_is_ready(served, model):
    base, _ = served
    assert httpx.get(f"{base}/v2/health/live").json() == {"live": True}
    told = httpx.get(f"{base}/v2/models/loans").json()
    assert {one["name"] for one in told["inputs"]} == set(model.features.columns)
    assert [one["name"] for one in told["outputs"]] == ["score", "decision"]
    assert httpx.get(f"{base}/v2/models/loans/ready").json()["ready"] is True


def test_infer_gives_the_bits_of_the_model(served, model):
    rows = request_rows(20)
    reply = httpx.post(
        f"{served[0]}/v2/models/loans/infer", json={"id": "a", "inputs": tensors(rows, model)}, timeout=30
    )
    assert reply.status_code == 200, reply.text
    outputs = {one["name"]: one["data"] for one in reply.json()["outputs"]}
    assert outputs["score"] == model.scores(rows).tolist()
    assert outputs["decision"] == model.decisions(model.scores(rows)).tolist()
    assert reply.json()["model_version"] == "1"


def test_the_older_protocol_scores_instances(served, model):
    rows = request_rows(3)
    reply = httpx.post(f"{served[0]}/v1/models/loans:predict", json={"instances": rows}, timeout=30)
    assert reply.status_code == 200, reply.text
    assert [one["score"] for one in reply.json()["predictions"]] == model.scores(rows).tolist()


def test_a_wrong_field_is_named(served, model):
    row = request_rows(1)[0] | {"purpose": "boat"}
    reply = httpx.post(f"{served[0]}/v2/models/loans/infer", json={"inputs": tensors([row], model)}, timeout=30)
    assert reply.status_code == 400
    assert "purpose: 'boat' is not one of car, house, other" in reply.text


def test_metrics_have_the_names_of_the_api(served, model):
    httpx.post(f"{served[0]}/v1/models/loans:predict", json={"instances": request_rows(2)}, timeout=30)
    page = httpx.get(f"{served[0]}/metrics", timeout=30).text
    assert 'model_predictions_total{model_name="loans",model_version="1",outcome="positive"}' in page
    assert "model_prediction_latency_seconds_bucket" in page


def test_grpc_with_binary_tensors_gives_the_same_bits(served, model):
    import asyncio

    from kserve import InferenceGRPCClient, InferInput, InferRequest

    rows = [row for row in request_rows(20) if None not in (row["born"], row["owner"], row["town"])]
    inputs = []
    for one in tensors(rows, model):
        given = InferInput(one["name"], one["shape"], one["datatype"])
        kinds = {"BYTES": object, "FP64": np.float64, "INT64": np.int64, "BOOL": bool}
        values = [v.encode() if isinstance(v, str) else np.nan if v is None else v for v in one["data"]]
        given.set_data_from_numpy(np.array(values, dtype=kinds[one["datatype"]]), binary_data=True)
        inputs.append(given)

    async def ask():
        client = InferenceGRPCClient(f"127.0.0.1:{served[1]}")
        try:
            return await client.infer(InferRequest("loans", inputs))
        finally:
            await client.close()

    reply = asyncio.run(ask())
    scores = reply.get_output_by_name("score").as_numpy()
    assert np.array_equal(scores.view(np.int64), model.scores(rows).view(np.int64))


def test_a_server_does_not_start_on_a_tampered_model(tmp_path):
    store = put_model(tmp_path / "models")
    (store.folder("loans", "1") / "features.json").write_text("{}")
    process, _, _ = _started(store.folder("loans", "1"), tmp_path / "log")
    try:
        assert process.wait(120) != 0
    finally:
        process.kill()
    assert "features.json" in (tmp_path / "log").read_text()
