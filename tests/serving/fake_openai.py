"""A small OpenAI-compatible server on loopback for tests: chat completions as server-sent events, and ways to misbehave."""

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "sk-right"


@dataclass
class FakeOpenAI:
    """What the server does, changeable while it runs, and what it was asked."""

    says: tuple[str, ...] = ("Tea ", "is free ", "[1].")
    """The pieces of every reply ..."""
    replies: Callable[[dict], str] | None = None
    """... unless this makes one out of the request."""
    adapters: dict[str, str] = field(default_factory=dict)
    """Loaded as vLLM loads them, name to path."""
    status: int = 200
    fails_after: int | None = None
    """Cut the connection after so many pieces."""
    hangs_after: int | None = None
    """Say nothing more after so many pieces, until the client leaves or the server closes."""
    is_mute: bool = False
    """Take the request and answer nothing at all."""
    pause_s: float = 0.0
    """Between pieces."""
    key: str = ""
    """The key that is wanted; any when empty."""
    requests: list[dict] = field(default_factory=list)
    n_sent: int = 0
    """Pieces sent in all replies together."""
    url: str = ""
    left: threading.Event = field(default_factory=threading.Event)
    """Set when a client hung up on a server that hangs."""
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def fake_openai(**behaviour) -> Iterator[FakeOpenAI]:
    """Serve until the block ends. `url` is what `LLMConfig.base_url` takes."""
    fake = FakeOpenAI(**behaviour)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": fake}))
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    fake: FakeOpenAI
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.fake.requests.append(body)
        if self.path.endswith("/load_lora_adapter"):
            self.fake.adapters[body["lora_name"]] = body["lora_path"]
            return self._whole(200, {})
        if self.fake.key and self.headers["authorization"] != f"Bearer {self.fake.key}":
            given = self.headers["authorization"].removeprefix("Bearer ")
            return self._refuse(401, f"Incorrect API key provided: {given}")
        if self.fake.status != 200:
            return self._refuse(self.fake.status, "the server is unwell")
        if self.fake.is_mute:
            return self._hang()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            self._stream(body)
        except (BrokenPipeError, ConnectionResetError):  # the client left
            return None

    def do_GET(self):
        self._whole(200, {"data": [{"id": name} for name in ("base", *self.fake.adapters)]})

    def _stream(self, body: dict) -> None:
        says = (self.fake.replies(body),) if self.fake.replies else self.fake.says
        for n, piece in enumerate(says):
            if n == self.fake.fails_after:
                self.close_connection = True
                return None
            if n == self.fake.hangs_after:
                return self._hang()
            self._event(body, choices=[{"index": 0, "delta": {"role": "assistant", "content": piece}}])
            self.fake.n_sent += 1
            time.sleep(self.fake.pause_s)
        self._event(body, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
        usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
        self._event(body, choices=[], usage=usage)
        self._write(b"data: [DONE]\n\n")
        self._write(b"")
        return None

    def _hang(self) -> None:
        self.close_connection = True
        while not self.fake.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.02)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return self.fake.left.set()
        return None

    def _event(self, body: dict, **fields) -> None:
        chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": body["model"], **fields}
        self._write(f"data: {json.dumps(chunk)}\n\n".encode())

    def _write(self, data: bytes) -> None:
        """One piece of a chunked body; an empty one ends it."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _refuse(self, status: int, message: str) -> None:
        self._whole(status, {"error": {"message": message, "type": "error", "code": "x", "param": None}})

    def _whole(self, status: int, body: dict) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass
