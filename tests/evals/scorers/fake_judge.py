"""A small OpenAI-compatible chat server on loopback that judges by fixed replies, and can misbehave. Imported by tests."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FakeJudge:
    """`replies` maps the title of the wanted JSON schema to the object that is replied; changeable while it runs."""

    replies: dict[str, object]
    status: int = 200
    says: str = ""
    """In place of any reply, when set."""
    hangs: bool = False
    ended: str = "stop"
    """Why the reply ended, in OpenAI's words."""
    url: str = ""
    n_requests: int = 0
    n_under_way: int = 0
    n_at_once: int = 0
    """The most requests that were under way at a time."""
    keys: set[str] = field(default_factory=set)
    closing: threading.Event = field(default_factory=threading.Event)
    counting: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def fake_judge(replies: dict[str, object], **behaviour) -> Iterator[FakeJudge]:
    fake = FakeJudge(replies, **behaviour)
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
    fake: FakeJudge
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        with self.fake.counting:
            self.fake.n_requests += 1
            self.fake.n_under_way += 1
            self.fake.n_at_once = max(self.fake.n_at_once, self.fake.n_under_way)
            self.fake.keys.add(self.headers["authorization"])
        try:
            if self.fake.hangs:
                self.fake.closing.wait(20)
            else:
                self.fake.closing.wait(0.05)
            self._reply(body)
        except (BrokenPipeError, ConnectionResetError):  # the client left
            self.close_connection = True
        finally:
            with self.fake.counting:
                self.fake.n_under_way -= 1

    def _reply(self, body: str) -> None:
        if self.fake.status != 200:
            return self._send({"error": {"message": f"unwell, {self.headers['authorization']}", "type": "x"}})
        title = next((name for name in self.fake.replies if name in body), "")
        content = self.fake.says or json.dumps(self.fake.replies.get(title, {}))
        message = {"role": "assistant", "content": content}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        choice = {"index": 0, "message": message, "finish_reason": self.fake.ended}
        return self._send(
            {"id": "c", "object": "chat.completion", "created": 1, "model": "j", "choices": [choice], "usage": usage}
        )

    def _send(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(self.fake.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass
