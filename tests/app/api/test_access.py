"""Who is let in, and with which rights."""

import pytest
from fastapi import Request

from app.api.access import COOKIE, RateLimits
from app.api.config import ApiConfig
from app.keys import ApiKey
from data.errors import Overloaded
from tests.app.api.conftest import local_client
from tests.app.api.fake_assay import FakeAssay, fake_product

SEARCH = {"query": "proof"}
PAGE = {"x-requested-with": "assay"}


@pytest.fixture
def key(product):
    """Make a key: `key("read")` returns its token."""

    def create(*scopes: str, **options) -> str:
        return product.keys.create("test", scopes=scopes or ("read",), **options)[1]

    return create


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_without_any_key_this_machine_is_served_with_every_right(client):
    assert client.post("/v1/search", json=SEARCH).status_code == 200
    assert client.get("/v1/session").json()["scopes"] == ["admin", "analyst", "read", "write"]


@pytest.mark.parametrize("address", ["10.0.0.5", "192.168.1.9", "2001:db8::1"])
def test_without_any_key_other_machines_are_refused(product, address):
    with local_client(product, client=(address, 1)) as client:
        response = client.post("/v1/search", json=SEARCH)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:8000", "[::1]:8000", "LOCALHOST"])
def test_without_any_key_local_host_names_are_served(client, host):
    assert client.post("/v1/search", json=SEARCH, headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "localhost.evil", "[", ""])
def test_without_any_key_a_rebound_host_name_is_refused(client, host):
    assert client.post("/v1/search", json=SEARCH, headers={"host": host}).status_code == 403


def test_a_configured_host_name_is_served(product):
    with local_client(product, ApiConfig(allowed_hosts=("assay.lan",))) as client:
        assert client.post("/v1/search", json=SEARCH, headers={"host": "assay.lan:80"}).status_code == 200


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_without_any_key_forwarded_requests_are_refused(client, name):
    assert client.post("/v1/search", json=SEARCH, headers={name: "127.0.0.1"}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_without_any_key_another_sites_page_cannot_change_anything(client, headers):
    assert client.post("/v1/search", json=SEARCH, headers=headers).status_code == 403


def test_without_any_key_our_own_page_can(client):
    headers = {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}
    assert client.post("/v1/search", json=SEARCH, headers=headers).status_code == 200


def test_from_the_first_key_on_loopback_needs_one_too(client, key):
    token = key("read")
    refused = client.post("/v1/search", json=SEARCH)
    assert refused.status_code == 401
    assert refused.json()["error"]["type"] == "authentication_error"
    assert client.post("/v1/search", json=SEARCH, headers=bearer(token)).status_code == 200


def test_a_key_is_good_from_any_machine(product, key):
    token = key("read")
    with local_client(product, client=("10.0.0.5", 1), base_url="http://assay.example") as client:
        assert client.post("/v1/search", json=SEARCH, headers=bearer(token)).status_code == 200


def test_a_wrong_key_is_refused(client, key):
    token = key("read")
    for wrong in (token[:-1] + ("a" if token[-1] != "a" else "b"), "ask_x_y", "sk-123", ""):
        assert client.post("/v1/search", json=SEARCH, headers=bearer(wrong)).status_code == 401


def test_a_revoked_key_is_refused_at_once_in_this_process(client, key, product):
    token = key("read")
    assert client.post("/v1/search", json=SEARCH, headers=bearer(token)).status_code == 200
    product.keys.revoke(token.split("_")[1])
    assert client.post("/v1/search", json=SEARCH, headers=bearer(token)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/search", "read"),
        ("POST", "/v1/documents", "write"),
        ("DELETE", "/v1/documents/d1", "write"),
        ("GET", "/metrics", "admin"),
        ("GET", "/v1/models", "read"),
    ],
)
def test_each_route_needs_its_scope(client, key, method, path, scope):
    others = {"read", "write", "admin"} - {scope}
    response = client.request(method, path, headers=bearer(key(*others)), json=SEARCH if path == "/v1/search" else None)
    assert response.status_code == 403
    assert f"'{scope}'" in response.json()["error"]["message"]


def test_a_key_carries_its_tenant_and_groups_into_the_product(product, assay, key):
    token = key("read", tenant="acme", groups=["eng"])
    question = {"messages": [{"role": "user", "content": "Who?"}]}
    with local_client(product) as client:
        assert client.post("/v1/chat/completions", json=question, headers=bearer(token)).status_code == 200
    principal = assay.asked[0]["principal"]
    assert (principal.tenant, principal.groups) == ("acme", {"eng"})


def test_the_session_cookie_signs_the_page_in(client, key):
    token = key("read")
    assert client.post("/v1/session", json={"key": token}).status_code == 403
    signed_in = client.post("/v1/session", json={"key": token}, headers=PAGE)
    assert signed_in.status_code == 204
    cookie = signed_in.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/v1/session").json()["by"] == "cookie"


def test_a_change_by_cookie_needs_the_header_that_other_sites_cannot_send(client, key):
    client.cookies.set(COOKIE, key("read"))
    assert client.get("/v1/models").status_code == 200
    refused = client.post("/v1/search", json=SEARCH)
    assert refused.status_code == 403
    assert "X-Requested-With" in refused.json()["error"]["message"]
    assert client.post("/v1/search", json=SEARCH, headers=PAGE).status_code == 200


def test_signing_out_forgets_the_cookie(client, key):
    client.post("/v1/session", json={"key": key("read")}, headers=PAGE)
    assert client.delete("/v1/session", headers=PAGE).status_code == 204
    assert client.get("/v1/models").status_code == 401


def test_signing_in_with_a_wrong_key_sets_no_cookie(client, key):
    key("read")
    response = client.post("/v1/session", json={"key": "ask_a_b"}, headers=PAGE)
    assert response.status_code == 401
    assert "set-cookie" not in response.headers


def test_a_key_over_its_rate_gets_429_and_is_told_when_to_come_back(client, key):
    slow, other = key("read", rate_per_minute=3), key("read")
    statuses = [client.get("/v1/models", headers=bearer(slow)).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = client.get("/v1/models", headers=bearer(slow))
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert client.get("/v1/models", headers=bearer(other)).status_code == 200


def test_the_bucket_refills_evenly(product):
    now = [0.0]
    limits = RateLimits(clock=lambda: now[0])
    key: ApiKey = product.keys.create("a", rate_per_minute=60)[0]
    for _ in range(60):
        limits.take(key)
    with pytest.raises(Overloaded) as caught:
        limits.take(key)
    assert caught.value.retry_after_s == 1
    now[0] = 1.0
    limits.take(key)
    with pytest.raises(Overloaded):
        limits.take(key)


def test_every_route_but_health_reference_and_sign_in_refuses_strangers(tmp_path):
    """New routes are covered the day they are added."""
    open_to_all = {"/healthz", "/readyz", "/docs", "/openapi.json", "/v1/session"}
    open_to_all |= {"/v2", "/v2/health/live", "/v2/health/ready"}  # says what /openapi.json and /readyz say
    product = fake_product(tmp_path, FakeAssay())
    product.keys.create("somebody")
    with local_client(product) as client:
        checked = 0
        for path, item in client.get("/openapi.json").json()["paths"].items():
            for method in item:
                if path in open_to_all:
                    continue
                response = client.request(
                    method.upper(), path.replace("{identity}", "x").replace("{model}", "x"), json={}
                )
                assert response.status_code in (401, 422), (method, path)
                if response.status_code == 422:  # the body is read before the key: nothing of ours was touched
                    assert response.json()["error"]["code"] == "invalid_schema"
                checked += 1
        assert checked > 10


def test_requests_have_a_client_address_that_headers_cannot_change():
    scope = {"type": "http", "client": ("10.0.0.5", 1), "headers": [(b"x-forwarded-for", b"127.0.0.1")]}
    assert Request(scope).client.host == "10.0.0.5"
