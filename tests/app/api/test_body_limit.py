import asyncio
import socket

from app.api.body_limit import BodyLimit
from app.api.config import ApiConfig


def test_a_body_that_stops_coming_is_given_up(serve, product):
    base = serve(product, ApiConfig(body_timeout_s=0.1))
    host, port = base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(
            b"POST /v1/search HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            b"content-length: 100\r\n\r\n{"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")


def test_waiting_for_the_end_of_the_response_is_not_bounded():
    """A stream watches `receive` for a disconnect long after the body is complete."""

    async def app(scope, receive, send):
        assert (await receive())["body"] == b"x"
        assert (await receive())["type"] == "http.disconnect"

    async def receive():
        if not sent:
            sent.append(True)
            return {"type": "http.request", "body": b"x", "more_body": False}
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    sent: list[bool] = []
    limited = BodyLimit(app, default_bytes=10, bytes_of={}, timeout_s=0.01)
    asyncio.run(limited({"type": "http", "path": "/", "headers": []}, receive, None))
    assert sent
