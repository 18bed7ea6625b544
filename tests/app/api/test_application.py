"""What holds for every route: errors, headers, limits, health and the reference page."""

import re
import time

import pytest

from app.api.config import ApiConfig
from data.errors import ModelUnavailable
from tests.app.api.conftest import local_client
from tests.app.api.fake_assay import FakeAssay, fake_product

QUESTION = {"messages": [{"role": "user", "content": "What does Assay show?"}]}


def error_of(response) -> tuple[int, str]:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert len(error["message"]) > 10
    return response.status_code, error["code"]


def test_malformed_json_is_400(client):
    response = client.post("/v1/search", content=b'{"query": ', headers={"content-type": "application/json"})
    assert error_of(response) == (400, "invalid_json")


def test_a_misspelt_field_is_422_and_named(client):
    response = client.post("/v1/search", json={"query": "x", "colection": "hr"})
    assert error_of(response) == (422, "invalid_schema")
    assert response.json()["error"]["param"] == "colection"


@pytest.mark.parametrize("body", [{"query": " "}, {"query": "x" * 4001}, {"query": "x", "k": 101}])
def test_a_value_over_a_limit_is_400_and_named(client, body):
    response = client.post("/v1/search", json=body)
    assert error_of(response) == (400, "invalid_input")
    assert response.json()["error"]["param"] in ("query", "k")


@pytest.mark.parametrize("text", ["\x00", "\ud800"])
def test_text_that_no_store_can_hold_is_422(client, text):
    body = '{"query": "a%s"}' % ("\\u0000" if text == "\x00" else "\\ud800")
    response = client.post("/v1/search", content=body, headers={"content-type": "application/json"})
    assert error_of(response) == (422, "invalid_schema")


@pytest.mark.parametrize("value", ["1e999", "NaN", str(2**63), "-1" + "0" * 30])
def test_numbers_that_no_store_can_hold_are_422(client, value):
    body = f'{{"query": "a", "filters": [{{"field": "year", "value": {value}}}]}}'
    response = client.post("/v1/search", content=body, headers={"content-type": "application/json"})
    assert error_of(response) == (422, "invalid_schema")


def test_unknown_paths_and_methods_have_the_same_shape(client):
    assert error_of(client.get("/v1/nothing")) == (404, "not_found")
    assert error_of(client.get("/v1/search")) == (405, "method_not_allowed")


def test_a_body_over_the_limit_is_413_whether_declared_or_streamed(product):
    with local_client(product, ApiConfig(max_body_bytes=1024)) as client:
        assert error_of(client.post("/v1/search", json={"query": "x" * 2000})) == (413, "too_large")
        chunks = (b"x" * 512 for _ in range(4))
        response = client.post("/v1/search", content=chunks, headers={"content-type": "application/json"})
        assert error_of(response) == (413, "too_large")


def test_a_failing_model_is_503_with_retry_after(tmp_path):
    with local_client(fake_product(tmp_path, FakeAssay(error=ModelUnavailable("The model is down.")))) as client:
        response = client.post("/v1/chat/completions", json=QUESTION)
        assert error_of(response) == (503, "model_unavailable")
        assert int(response.headers["retry-after"]) > 0


def test_an_unforeseen_error_is_500_without_detail_but_with_a_request_id(tmp_path):
    with local_client(fake_product(tmp_path, FakeAssay(error=ZeroDivisionError("secret")))) as client:
        response = client.post("/v1/search", json={"query": "x"})
        assert error_of(response) == (500, "internal_error")
        assert "secret" not in response.text
        assert response.headers["x-request-id"]


def test_a_search_that_takes_too_long_is_503(tmp_path):
    product = fake_product(tmp_path, FakeAssay(pause_s=0.5))
    with local_client(product, ApiConfig(request_timeout_s=0.05)) as client:
        assert error_of(client.post("/v1/search", json={"query": "x"})) == (503, "deadline_exceeded")


def test_search_returns_hits_with_the_scores_of_their_stages(client):
    result = client.post("/v1/search", json={"query": "proof"}).json()
    assert result["snapshot_id"] == "snap-1"
    assert result["hits"][0]["stages"]["lexical"] == {"rank": 1, "score": 3.5}


def test_a_well_formed_request_id_comes_back_and_any_other_is_replaced(client):
    assert client.get("/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    replaced = client.get("/healthz", headers={"x-request-id": "a b\tc"}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", replaced)


def test_every_answer_carries_strict_security_headers(client):
    for path in ("/healthz", "/v1/nothing", "/v1/models"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")


def test_health_needs_nothing_and_readiness_names_what_fails(tmp_path):
    def fails():
        raise RuntimeError("secret")

    product = fake_product(tmp_path, checks={"index": fails, "database": lambda: None})
    with local_client(product) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        response = client.get("/readyz")
        assert response.status_code == 503
        assert response.json() == {"status": "not ready", "checks": {"index": "failed", "database": "ok"}}


def test_metrics_count_by_route_template_and_stage(tmp_path):
    with local_client(fake_product(tmp_path, gauges={"index_generation_lag": lambda: 3})) as client:
        client.post("/v1/chat/completions", json=QUESTION)
        client.get("/v1/documents/one")
        client.get("/nowhere/at/all")
        text = client.get("/metrics").text
    assert 'assay_requests_total{method="POST",route="/v1/chat/completions",status="2xx"} 1.0' in text
    assert 'assay_requests_total{method="GET",route="/v1/documents/{identity}",status="4xx"} 1.0' in text
    assert 'route="unmatched",status="4xx"} 1.0' in text
    assert 'assay_stage_seconds_count{stage="ground"} 1.0' in text
    assert 'assay_tokens_total{direction="completion"} 9.0' in text
    assert "assay_index_generation_lag 3.0" in text
    assert "one" not in re.findall(r'route="([^"]*)"', text)


def test_the_reference_page_lists_every_route_without_loading_anything(client):
    response = client.get("/docs")
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in response.text
    assert "<script" not in response.text
    assert not re.findall(r'(?:src|href)="(?!#|/openapi.json)', response.text)
    assert response.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.slow
def test_when_the_server_is_full_it_says_so_at_once(serve, tmp_path):
    import threading

    import httpx

    product = fake_product(tmp_path, FakeAssay(pause_s=0.3))
    base = serve(product, ApiConfig(max_concurrent=1, max_queued=1))
    statuses: list[int] = []

    def search():
        statuses.append(httpx.post(base + "/v1/search", json={"query": "x"}, timeout=10).status_code)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 200, 429, 429]
