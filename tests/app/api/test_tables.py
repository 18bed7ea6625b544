import json
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.once import Once
from app.prediction import Explain, Predictions
from data.database import Database
from data.tabular.model_files import load_model
from serving.rollout.config import RolloutConfig
from serving.rollout.engine import RolloutEngine
from serving.tabular.config import TabularConfig
from serving.tabular.model_store import ModelStore
from serving.tabular.prediction_log import PredictionLog
from serving.tabular.prediction_store import PredictionStore, matrix_of
from tests.app.api.conftest import local_client
from tests.app.api.fake_assay import FakeAssay, fake_product
from tests.serving.tabular.stores import put_model, request_rows


def explained(model, row):
    return {"base": 0.5, "contributions": dict.fromkeys(model.features.columns, 0.0)}


EXPLAIN = Explain(explained, lambda model: dict.fromkeys(model.features.columns, 1.0))


@pytest.fixture
def predictions(tmp_path):
    put_model(tmp_path / "models")
    database = Database(f"sqlite:///{tmp_path / 'keys.db'}")
    config = TabularConfig(max_rows=50, log_flush_s=0.05)
    kept = PredictionLog(PredictionStore(database), config)
    made = Predictions(
        ModelStore(tmp_path / "models"), RolloutEngine(database, RolloutConfig()), kept, config, explain=EXPLAIN
    )
    yield made
    made.close()
    database.close()


@pytest.fixture
def product(tmp_path, predictions):
    product = fake_product(tmp_path, FakeAssay(), predictions=Once(lambda: predictions))
    yield product
    product.keys._database.close()


@pytest.fixture
def client(product):
    with local_client(product) as client:
        yield client


@pytest.fixture
def model(tmp_path, predictions):
    return load_model(tmp_path / "models" / "loans@1")


def test_rows_are_scored_with_version_digest_and_threshold(client, model):
    rows = request_rows(3)
    reply = client.post("/v1/models/loans/predict", json={"rows": rows}, headers={"x-request-id": "r-7"})
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert [one["score"] for one in told["predictions"]] == model.scores(rows).tolist()
    assert [one["decision"] for one in told["predictions"]] == (model.scores(rows) >= 0.4).tolist()
    assert [one["id"] for one in told["predictions"]] == ["r-7:0", "r-7:1", "r-7:2"]
    kept = ("model", "version", "digest", "stage", "threshold", "positive")
    assert [told[name] for name in kept] == ["loans", "1", model.digest, "champion", 0.4, "true"]
    assert reply.headers["x-assay-model"] == "loans@1"
    assert reply.headers["server-timing"].startswith("model;dur=")


def test_a_string_for_a_number_is_a_clear_422(client):
    row = request_rows(1)[0] | {"amount": "12000"}
    reply = client.post("/v1/models/loans/predict", json={"rows": [row]})
    assert reply.status_code == 422
    error = reply.json()["error"]
    assert error["code"] == "rows_refused"
    assert error["param"] == "amount"
    assert "amount: '12000' is not a number from 0 to 100000" in error["message"]
    expected = {"row": 0, "field": "amount", "message": "'12000' is not a number from 0 to 100000"}
    assert error["problems"] == [expected]


@pytest.mark.parametrize(
    ("field", "sent", "told"),
    [
        ("amount", "NaN", "nan is not finite"),
        ("amount", "Infinity", "inf is not finite"),
        ("amount", "1e999", "inf is not finite"),
        ("amount", "-1", "-1 is not a number from 0 to 100000"),
        ("months", "3.5", "3.5 is not a whole number from 1 to 360"),
        ("months", "null", "None is not a whole number"),
        ("purpose", '"boat"', "'boat' is not one of car, house, other"),
        ("owner", '"maybe"', "'maybe' is not true or false or missing"),
        ("asked", '"yesterday"', "'yesterday' is not a date"),
        ("asked", '"2019-12-31"', "'2019-12-31' is not a date from 2020-01-01"),
    ],
)
def test_each_wrong_field_is_named_with_what_is_allowed(client, field, sent, told):
    body = json.dumps({"rows": [request_rows(1)[0] | {field: "PLACE"}]}).replace('"PLACE"', sent)
    reply = client.post("/v1/models/loans/predict", content=body)
    assert reply.status_code == 422, reply.text
    assert [one["field"] for one in reply.json()["error"]["problems"]] == [field]
    assert told in reply.json()["error"]["message"]


def test_missing_and_misspelt_fields_are_named_by_row(client):
    rows = request_rows(2)
    rows[1]["amuont"] = rows[1].pop("amount")
    problems = client.post("/v1/models/loans/predict", json={"rows": rows}).json()["error"]["problems"]
    assert {(one["row"], one["field"]) for one in problems} == {(1, "amount"), (1, "amuont")}
    assert any("is it amount?" in one["message"] for one in problems)


def test_a_body_that_is_no_json_or_has_another_shape_is_refused(client):
    assert client.post("/v1/models/loans/predict", content=b"{").status_code == 400
    assert client.post("/v1/models/loans/predict", json={"row": {}}).status_code == 422
    assert client.post("/v1/models/loans/predict", json={"rows": []}).status_code == 422
    many = client.post("/v1/models/loans/predict", json={"rows": request_rows(51)})
    assert many.status_code == 400
    assert "from 1 to 50" in many.json()["error"]["message"]


def test_an_unknown_model_is_404_and_says_what_there_is(client):
    reply = client.post("/v1/models/lones/predict", json={"rows": request_rows(1)})
    assert reply.status_code == 404
    assert "loans" in reply.json()["error"]["message"]
    assert client.post("/v1/models/loans@9/predict", json={"rows": request_rows(1)}).status_code == 404
    assert client.post("/v1/models/..%2Floans/predict", json={"rows": request_rows(1)}).status_code in (404, 405, 422)


def test_a_version_can_be_named_and_is_told_as_pinned(client):
    reply = client.post("/v1/models/loans@1/predict", json={"rows": request_rows(1)})
    assert reply.json()["stage"] == "pinned"


def test_a_tampered_model_is_refused_and_never_answers(client, tmp_path):
    (tmp_path / "models" / "loans@1" / "estimator.json").write_text('{"coefficients": [1.0], "intercept": 0}')
    reply = client.post("/v1/models/loans/predict", json={"rows": request_rows(1)})
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "tampered_model"
    assert "estimator.json" in reply.json()["error"]["message"]
    assert client.get("/v2/health/ready").status_code == 503


def test_without_a_right_nobody_predicts_and_labels_need_write(product):
    _, reader = product.keys.create("reader", scopes=["read"])
    _, writer = product.keys.create("writer", scopes=["write"])
    with local_client(product) as client:
        body, labels = {"rows": request_rows(1)}, {"labels": [{"id": "L000", "label": True}]}
        assert client.post("/v1/models/loans/predict", json=body).status_code == 401
        assert client.get("/v2/models/loans").status_code == 401
        as_reader, as_writer = ({"authorization": f"Bearer {token}"} for token in (reader, writer))
        assert client.post("/v1/models/loans/predict", json=body, headers=as_reader).status_code == 200
        assert client.post("/v1/models/loans/predict", json=body, headers=as_writer).status_code == 403
        assert client.post("/v1/models/loans/labels", json=labels, headers=as_reader).status_code == 403
        assert client.post("/v1/models/loans/labels", json=labels, headers=as_writer).status_code == 200


def test_the_schema_of_a_row_is_the_contract(client):
    told = client.get("/v1/models/loans/schema").json()
    assert told["additionalProperties"] is False
    assert told["properties"]["amount"]["maximum"] == 100_000
    assert set(told["required"]) == {"asked", "amount", "months", "purpose"}


def test_the_open_inference_protocol_scores_the_same_rows_to_the_same_bits(client, model):
    rows = request_rows(4)
    types = {one["name"]: one["datatype"] for one in client.get("/v2/models/loans").json()["inputs"]}
    columns = {name: [row.get(name) for row in rows] for name in types}
    inputs = [
        {"name": name, "shape": [4, 1], "datatype": types[name], "data": [[v] for v in values]}
        for name, values in columns.items()
    ]
    reply = client.post("/v2/models/loans/infer", json={"id": "a1", "inputs": inputs})
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert (told["model_name"], told["model_version"], told["id"]) == ("loans", "1", "a1")
    assert told["outputs"][0] == {
        "name": "score",
        "datatype": "FP64",
        "shape": [4],
        "data": model.scores(rows).tolist(),
    }
    only = client.post("/v2/models/loans/versions/1/infer", json={"inputs": inputs, "outputs": [{"name": "decision"}]})
    assert [one["name"] for one in only.json()["outputs"]] == ["decision"]


def test_the_protocols_health_metadata_and_lists_answer(client):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2").json()["name"] == "assay"
    assert client.get("/v2/models").json() == {"models": ["loans"]}
    assert client.get("/v2/models/loans/ready").json() == {"name": "loans", "ready": True}
    assert client.get("/v2/models/loans/versions/1").json()["versions"] == ["1"]
    assert client.get("/v2/models/loans/versions/8").status_code == 404


def test_mlflows_invocations_take_split_records_and_instances(client, model):
    rows = request_rows(2)
    names = list(rows[0])
    split = {"columns": names, "data": [[row[name] for name in names] for row in rows]}
    for body in ({"dataframe_split": split}, {"dataframe_records": rows}, {"instances": rows}):
        for path in ("/invocations", "/v1/models/loans/invocations"):
            reply = client.post(path, json=body)
            assert reply.status_code == 200, reply.text
            assert [one["score"] for one in reply.json()["predictions"]] == model.scores(rows).tolist()
    assert client.post("/invocations", json={"rows": rows}).status_code == 400


def test_a_row_and_a_kept_prediction_are_explained(client):
    row = request_rows(1)[0]
    reply = client.post("/v1/models/loans/explain", json={"row": row})
    assert reply.status_code == 200, reply.text
    assert set(reply.json()["explanation"]["contributions"]) >= {"amount", "income"}
    client.post("/v1/models/loans/predict", json={"rows": [row]}, headers={"x-request-id": "kept"})
    found = client.get("/v1/models/loans/explain", params={"id": "kept:0"})
    assert found.status_code == 200, found.text
    assert found.json()["prediction"]["id"] == "kept:0"
    assert client.get("/v1/models/loans/explain", params={"id": "other:0"}).status_code == 404
    assert "amount" in client.get("/v1/models/loans/explain").json()["explanation"]["importance"]


def test_predictions_are_kept_with_the_bits_of_their_features(client, predictions, model):
    rows = request_rows(5)
    client.post("/v1/models/loans/predict", json={"rows": rows}, headers={"x-request-id": "abc"})
    deadline = time.monotonic() + 10
    while not (found := next(predictions.kept.store.each("loans"), [])):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [one.key for one in found] == [f"abc:{at}" for at in range(5)]
    assert [one.entity for one in found] == [row["loan"] for row in rows]
    assert np.array_equal(matrix_of(found).view(np.int32), model.matrix(rows).view(np.int32))
    assert found[0].row == rows[0]


def test_labels_join_by_the_predictions_id_or_by_the_rows_own(client, predictions):
    client.post("/v1/models/loans/predict", json={"rows": request_rows(3)}, headers={"x-request-id": "abc"})
    labels = [{"id": "abc:0", "label": True}, {"id": "L001", "label": False}, {"id": "nobody", "label": True}]
    reply = client.post("/v1/models/loans/labels", json={"labels": labels})
    assert reply.json() == {"n_labels": 3, "n_predictions": 2}
    found = next(predictions.kept.store.labelled("loans"))
    assert [one.label for one in found] == [True, False, None]


def test_metrics_count_rows_by_version_and_outcome_and_show_features(client):
    client.post("/v1/models/loans/predict", json={"rows": request_rows(4)})
    client.post("/v1/models/loans/predict", json={"rows": [{"amount": "x"}]})
    page = client.get("/metrics").text
    labels = 'model_name="loans",model_version="1"'
    counted = {
        outcome: float(line.rsplit(" ", 1)[1])
        for line in page.splitlines()
        for outcome in ("positive", "negative", "refused")
        if line.startswith("model_predictions_total{")
        and f'outcome="{outcome}"' in line
        and labels.split(",")[1] in line
    }
    assert counted["positive"] + counted["negative"] == 4
    assert counted["refused"] == 1
    assert "model_prediction_latency_seconds_count{" + labels + "} 1.0" in page
    assert 'feature="amount"' in page


def test_a_server_without_tabular_models_says_so(tmp_path):
    product = fake_product(tmp_path, FakeAssay())
    with local_client(product) as client:
        assert client.post("/v1/models/loans/predict", json={"rows": [{}]}).status_code == 404
        assert client.get("/v2/models").status_code == 404
    product.keys._database.close()


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["car", "2024-02-03", "1e5", "\x00", "9999-12-31T23:59:59+14:00", "0001-01-01"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=3,
)


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from([*request_rows(1)[0], "other", "repaid"]), value=anything)
def test_no_value_of_any_field_makes_the_server_fail(client, field, value):
    row = request_rows(1)[0] | {field: value}
    tensors = [{"name": n, "shape": [1], "datatype": "BYTES", "data": [v]} for n, v in row.items()]
    for path, body in (
        ("/v1/models/loans/predict", {"rows": [row]}),
        ("/v2/models/loans/infer", {"inputs": tensors}),
        ("/invocations", {"instances": [row]}),
        ("/v1/models/loans/predict", {field: value}),
        ("/v2/models/loans/infer", {"inputs": value}),
        ("/v1/models/loans/invocations", {"dataframe_split": value}),
    ):
        reply = client.post(path, content=json.dumps(body))
        assert reply.status_code in (200, 400, 422), (path, body, reply.text)
        if reply.status_code != 200:
            assert reply.json()["error"]["message"]
