import anyio
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client


def test_over_http_the_key_decides(serve, product):
    base = serve(product)
    _, token = product.keys.create("agent", scopes=["read"])

    async def go(headers):
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(base + "/mcp", http_client=http)) as client,
        ):
            return await client.call_tool("ask", {"question": "What?"})

    result = anyio.run(go, {"authorization": f"Bearer {token}"})
    assert result.structured_content["receipt_id"] == "r1"
    response = httpx2.post(base + "/mcp", json={}, headers={"accept": "application/json"})
    assert response.status_code == 401
    assert response.json()["error"]["type"] == "authentication_error"


def test_a_body_over_the_limit_is_refused(serve, product):
    response = httpx2.post(serve(product) + "/mcp", content=b"x" * (2 << 20))
    assert response.status_code == 413


def test_a_request_that_is_no_protocol_message_is_refused_without_a_failure(client):
    response = client.post("/mcp", json={"hello": 1}, headers={"accept": "application/json, text/event-stream"})
    assert 400 <= response.status_code < 500
