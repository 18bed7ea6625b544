"""`assay serve` over loopback with a saved model: predicted by HTTP, checked by commands that read what the server left."""

import json
import time

import httpx
import pandas as pd
import pytest

from tests.app.commands.tabular_commands import run
from tests.running_server import running_server
from tests.serving.tabular.stores import put_model, request_rows

pytestmark = pytest.mark.slow


def test_a_model_is_served_logged_and_found_without_skew_by_the_commands(tmp_path):
    store = put_model(tmp_path / "var" / "tabular" / "models", kind="xgboost")
    model, rows = store.predictor("loans").model, request_rows(40)
    with running_server(tmp_path, ASSAY_TABULAR__LOG_FLUSH_S="0.05") as server:
        with httpx.Client(base_url=server.base, timeout=60) as client:
            for at, row in enumerate(rows):
                reply = client.post(
                    "/v1/models/loans/predict", json={"rows": [row]}, headers={"x-request-id": f"q{at}"}
                )
                assert reply.status_code == 200, reply.text
                assert reply.headers["x-request-id"] == f"q{at}"
                assert reply.json()["predictions"][0]["score"] == model.scores([row])[0]
            wrong = client.post("/v1/models/loans/predict", json={"rows": [rows[0] | {"amount": "12"}]})
            assert wrong.status_code == 422
            assert wrong.json()["error"]["problems"][0]["field"] == "amount"
            assert client.get("/v2/health/ready").json() == {"ready": True}
            explained = client.get("/v1/models/loans/explain", params={"id": "q0:0"})
            assert explained.status_code == 200, explained.text
            assert "amount" in explained.json()["explanation"]["contributions"]
            assert 'outcome="refused"} 1.0' in client.get("/metrics").text
        time.sleep(0.2)
        assert server.stop() == 0
        log = server.log.read_text()
    event = next(json.loads(line) for line in log.splitlines() if '"tabular.prediction"' in line)
    assert (event["request_id"], event["model"], event["n_rows"]) == ("q0", "loans@1", 1)
    assert rows[0]["loan"] not in log

    checked = run(tmp_path, "skew", "loans", "--json")
    assert checked.exit_code == 0, checked.output
    (told,) = json.loads(checked.stdout)
    assert (told["version"], told["n_rows"], told["n_skewed"], told["n_other_scores"]) == ("1", 40, 0, 0)

    labels = pd.DataFrame({"loan": [row["loan"] for row in rows], "repaid": ["true", "false"] * 20})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    told = run(tmp_path, "labels", "loans", str(tmp_path / "labels.csv"), "--json")
    assert json.loads(told.stdout) == {"n_labels": 40, "n_predictions": 40}
