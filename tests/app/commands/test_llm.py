import json
import os
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from app.commands.llm import app
from app.settings import ROOT, inherited_environment
from data.errors import AssayError, InvalidInput, ModelUnavailable
from serving.registry import FolderRegistry
from tests.serving.adapters import make_adapter
from tests.serving.vllm.fake_vllm import FakeVLLM

SERVE = """#!{python}
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{{"data": [{{"id": "tiny", "parent": null, "root": "/m"}}]}}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), H).serve_forever()
"""


def run(home, *words: str, code: int = 0, **settings: str) -> str:
    done = CliRunner().invoke(app, [*words], env={"ASSAY_HOME": str(home)} | settings)
    if isinstance(done.exception, AssayError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.fixture
def fake():
    return FakeVLLM(key="k")


@pytest.fixture
def server(fake):
    with fake.served() as url:
        yield {"ASSAY_LLM__BASE_URL": f"{url}/v1", "ASSAY_LLM__MODEL": "tiny", "ASSAY_LLM__API_KEY": "k"}


@pytest.fixture
def registry(tmp_path) -> FolderRegistry:
    make_adapter(tmp_path / "var" / "registered" / "support@1")
    registry = FolderRegistry(tmp_path / "var" / "registered")
    registry.set_alias("support", "challenger", "1")
    return registry


@pytest.mark.slow
def test_sync_loads_the_challenger_from_a_verified_copy(tmp_path, fake, server, registry):
    assert "loaded    support@1" in run(tmp_path, "sync", **server)
    assert fake.loaded == {"support@1": str(tmp_path / "var" / "adapters" / "support@1")}
    (again,) = json.loads(run(tmp_path, "sync", "--json", **server))
    assert (again["ref"], again["done"]) == ("support@1", "kept")
    assert "support@1" in run(tmp_path, "status", **server)


@pytest.mark.slow
def test_sync_ends_with_code_4_when_files_are_not_the_registered_ones(tmp_path, server, registry):
    (tmp_path / "var" / "registered" / "support@1" / "adapter_model.safetensors").write_bytes(b"planted")
    assert "refused" in run(tmp_path, "sync", code=4, **server)


@pytest.mark.slow
def test_the_path_is_the_one_that_the_server_sees(tmp_path, fake, server, registry):
    run(tmp_path, "sync", ASSAY_VLLM__ADAPTERS_DIR_AT_SERVER="/mnt/adapters", **server)
    assert fake.loaded == {"support@1": "/mnt/adapters/support@1"}


def test_a_server_that_is_not_there_says_how_to_start_one(tmp_path):
    with pytest.raises(ModelUnavailable, match="assay llm up"):
        run(tmp_path, "status", "--url", "http://127.0.0.1:9/v1")


def test_a_server_that_others_can_reach_needs_a_key(tmp_path):
    with pytest.raises(InvalidInput, match="ASSAY_LLM__API_KEY"):
        run(tmp_path, "up", "--model", str(tmp_path), ASSAY_VLLM__HOST="0.0.0.0")


@pytest.mark.slow
def test_up_waits_for_health_says_what_to_set_and_stops_its_server_on_sigterm(tmp_path):
    """The command as a process, over a stand-in for the vLLM interpreter."""
    python = tmp_path / "python"
    python.write_text(SERVE.format(python=sys.executable))
    python.chmod(0o755)
    settings = {"ASSAY_HOME": str(tmp_path), "ASSAY_VLLM__PYTHON": str(python), "ASSAY_VLLM__PORT": "18739"}
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "llm", "up", "--model", str(tmp_path), "--name", "tiny"],
        cwd=ROOT,
        env=inherited_environment() | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = [process.stdout.readline() for _ in range(4)]
        assert "ASSAY_LLM__BASE_URL=http://127.0.0.1:18739/v1 ASSAY_LLM__MODEL=tiny" in "".join(lines)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        with pytest.raises(ModelUnavailable):
            run(tmp_path, "status", ASSAY_VLLM__PORT="18739")
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
