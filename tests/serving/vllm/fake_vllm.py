"""The routes of a vLLM server that operate it, over a dictionary: for tests of what asks them, without weights."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeVLLM:
    """Refuses what vLLM refuses: a known name (400), a folder that is not there (404), a wrong key (401)."""

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.loaded: dict[str, str] = {}
        self.calls: list[tuple[str, str]] = []
        self.fails = ""
        """A name whose loading ends in a 500, as vLLM refuses adapters that it cannot serve."""

    def answer(self, method: str, path: str, body: dict) -> tuple[int, dict]:
        name = body.get("lora_name", "")
        self.calls.append((path, name))
        match path:
            case "/health":
                return 200, {}
            case "/v1/models":
                adapters = [{"id": n, "parent": "tiny", "root": p} for n, p in self.loaded.items()]
                return 200, {"data": [{"id": "tiny", "parent": None, "root": "/models/tiny"}, *adapters]}
            case "/v1/load_lora_adapter" if name == self.fails:
                return 500, {"error": {"message": "LoRA rank 64 is greater than max_lora_rank 16"}}
            case "/v1/load_lora_adapter" if name in self.loaded:
                return 400, {"error": {"message": f"The lora adapter '{name}' has already been loaded."}}
            case "/v1/load_lora_adapter":
                self.loaded[name] = body["lora_path"]
                return 200, {}
            case "/v1/unload_lora_adapter" if name in self.loaded:
                del self.loaded[name]
                return 200, {}
        return 404, {"error": {"message": "not found"}}

    @contextmanager
    def served(self) -> Iterator[str]:
        """Its URL, while the block runs."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply({})

            def do_POST(self) -> None:
                self._reply(json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}"))

            def _reply(self, body: dict) -> None:
                wrong = fake.key and self.headers.get("authorization") != f"Bearer {fake.key}"
                if wrong and self.path != "/health":
                    status, out = 401, {"error": "Unauthorized"}
                else:
                    status, out = fake.answer(self.command, self.path, body)
                data = json.dumps(out).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join(5)
