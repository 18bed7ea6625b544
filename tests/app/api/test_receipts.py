import pytest


def test_a_receipt_is_read_and_replayed(client):
    assert client.get("/v1/receipts/r1").json()["snapshot_id"] == "snap-1"
    assert client.post("/v1/receipts/r1/replay").json()["identical"] is True


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/receipts/r9"), ("POST", "/v1/receipts/r9/replay")])
def test_a_receipt_that_is_not_there_is_404(client, method, path):
    assert client.request(method, path).status_code == 404


def test_feedback_is_kept_with_its_correction(client, assay):
    body = {"receipt_id": "r1", "rating": "down", "correction": "Twenty days."}
    assert client.post("/v1/feedback", json=body).status_code == 201
    assert assay.rated == [("r1", "default", "down", "Twenty days.")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"receipt_id": "r9", "rating": "up"}, 404),
        ({"receipt_id": "r1", "rating": "meh"}, 422),
        ({"rating": "up"}, 422),
    ],
)
def test_feedback_that_means_nothing_is_refused(client, body, status):
    assert client.post("/v1/feedback", json=body).status_code == status
