"""`assay serve` as operators see it: what it needs to start, how it stops, what it leaves behind."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.running_server import RunningServer, clean_environment, free_port, running_server

pytestmark = pytest.mark.slow
QUESTION = {"messages": [{"role": "user", "content": "How many weeks of parental leave do employees get?"}]}
SENTENCE_S = 0.4


class SlowModel(BaseHTTPRequestHandler):
    """An OpenAI-compatible model that says six sentences, one at a time."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for n in range(6):
            delta = {"content": f"Parents get {20 + n} weeks of leave [1]. "}
            chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "slow"}
            chunk |= {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            self.wfile.flush()
            time.sleep(SENTENCE_S)
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_):
        pass


@pytest.fixture
def slow_model() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), SlowModel) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.fixture(scope="module")
def home(sample_server, tmp_path_factory) -> Path:
    """A copy of the sample store: the one of the running server may not be written to, nor get keys."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(sample_server.home / "var", home / "var", symlinks=True)
    return home


@pytest.fixture(scope="module")
def server(home) -> Iterator[RunningServer]:
    with running_server(home) as server:
        yield server


def test_over_an_index_on_disk_it_is_ready_soon_and_small_and_without_torch(server):
    assert server.ready_cpu_s <= 4  # processor time: the clock on the wall counts the other tests too
    assert httpx.post(f"{server.base}/v1/chat/completions", json=QUESTION, timeout=30).status_code == 200
    assert server.resident_mb() <= 700
    assert "libtorch" not in server.maps()


def test_what_it_prints_works_as_pasted(home):
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "app", "serve"],
        cwd=home,
        env=clean_environment(ASSAY_HOME=str(home), ASSAY_PORT=str(port)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        told = ""
        for line in process.stdout:
            told += line
            if "Stop with" in line:
                break
        curl = told[told.index("curl ") : told.index("\n\n", told.index("curl "))]
        answer = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, timeout=60).stdout
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert "22 weeks of parental leave" in json.loads(answer)["choices"][0]["message"]["content"]
    assert f"http://127.0.0.1:{port}/docs" in told


def test_when_told_to_stop_it_finishes_open_streams_takes_no_new_ones_and_ends_well(home, slow_model):
    llm = {"ASSAY_LLM__BASE_URL": slow_model, "ASSAY_LLM__MODEL": "slow"}
    with running_server(home, **llm) as server:
        ask = QUESTION | {"stream": True}
        with httpx.stream("POST", f"{server.base}/v1/chat/completions", json=ask, timeout=30) as stream:
            lines = stream.iter_lines()
            for line in lines:
                if line == "event: message":
                    break
            server.process.send_signal(signal.SIGTERM)
            time.sleep(SENTENCE_S)
            with pytest.raises(httpx.TransportError):
                server.get("/healthz")
            rest = list(lines)
        assert rest.count("event: message") == 5
        assert "event: final" in rest
        assert [line for line in rest if line][-1] == "data: [DONE]"
        assert server.process.wait(20) == 0
        assert "Traceback" not in server.log.read_text()


def test_a_stream_that_outlives_the_grace_period_is_cut_off(home, slow_model):
    llm = {"ASSAY_LLM__BASE_URL": slow_model, "ASSAY_LLM__MODEL": "slow", "ASSAY_API__SHUTDOWN_GRACE_S": "1"}
    with running_server(home, **llm) as server:
        ask = QUESTION | {"stream": True}
        with httpx.stream("POST", f"{server.base}/v1/chat/completions", json=ask, timeout=30) as stream:
            next(stream.iter_lines())
            began = time.monotonic()
            assert server.stop() == 0
        assert time.monotonic() - began < 6 * SENTENCE_S + 10


def test_a_taken_port_is_said_at_once_with_exit_code_4(server, tmp_path):
    port = server.base.rpartition(":")[2]
    out = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        cwd=tmp_path,
        env=clean_environment(ASSAY_HOME=str(tmp_path), ASSAY_PORT=port),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert out.returncode == 4
    assert "cannot be listened on" in out.stderr
    assert "Traceback" not in out.stderr
    assert not (tmp_path / "var").exists()


def test_it_writes_only_below_its_home_and_the_folder_for_temporary_files(tmp_path):
    """As in the image, whose root is read-only: the checkout is not writable, neither is the user's home folder."""
    for name in ("assay", "tmp", "elsewhere"):
        (tmp_path / name).mkdir()
    settings = {"TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path / "elsewhere"), "PYTHONDONTWRITEBYTECODE": "1"}
    before = _files(Path(__file__).parent.parent.parent)
    with running_server(tmp_path / "assay", builds=True, **settings) as server:
        text = "# Leave\n\nParents get eighty days of leave."
        files = [("files", ("leave.md", text.encode())), ("files", ("table.csv", b"name,days\nleave,80\n"))]
        added = httpx.post(f"{server.base}/v1/documents", files=files, timeout=60)
        assert added.status_code == 201
        assert len(added.json()["data"]) == 2
        assert httpx.post(f"{server.base}/v1/chat/completions", json=QUESTION, timeout=60).status_code == 200
        assert server.stop() == 0
    assert _files(Path(__file__).parent.parent.parent) - before == set()
    assert {p.name for p in (tmp_path / "assay").iterdir()} == {"var", "serve.log"}
    assert list((tmp_path / "elsewhere").iterdir()) == []


def _files(root: Path) -> set[str]:
    """The files of the checkout that a server could have made: not those of tools and tests."""
    folders = ("app", "data", "prompts", "retrieval", "serving", "evals", "finetune", "var")
    found = (path for folder in folders for path in (root / folder).rglob("*"))
    return {str(path) for path in found if "__pycache__" not in path.parts and path.suffix not in (".py", ".md")}
