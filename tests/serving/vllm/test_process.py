import sys
import time
from pathlib import Path

import pytest

from data.errors import InfrastructureError, InvalidInput
from serving.vllm.config import VLLMConfig
from serving.vllm.process import ServerPlan, VLLMMissing, VLLMServer, command, environment, find_python
from tests.serving.vllm.fake_vllm import FakeVLLM


@pytest.fixture
def plan(tmp_path) -> ServerPlan:
    return ServerPlan("org/model", "tiny", {"PATH": "/usr/bin:/bin"}, tmp_path / "log" / "vllm.log", "secret-key")


def _script(tmp_path: Path, text: str) -> str:
    """An "interpreter" that ignores vLLM's arguments and runs `text`."""
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_loras_are_on_names_are_set_and_the_key_is_not_among_the_arguments(plan):
    line = command(VLLMConfig(max_model_len=512, extra_args=("--enforce-eager",)), plan, "python")
    text = " ".join(line)
    assert "--enable-lora" in line
    assert "serve org/model --served-model-name tiny" in text
    assert "--max-model-len 512" in text
    assert line[-1] == "--enforce-eager"
    assert "secret-key" not in text


def test_the_environment_allows_adapters_at_run_time_holds_the_key_and_forbids_the_hub_for_a_folder(plan, tmp_path):
    found = environment(VLLMConfig(kv_cache_gib=2), plan)
    assert found["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"
    assert found["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert found["VLLM_API_KEY"] == "secret-key"
    assert "HF_HUB_OFFLINE" not in found
    local = ServerPlan(str(tmp_path), "tiny", {}, plan.log)
    assert environment(VLLMConfig(), local)["HF_HUB_OFFLINE"] == "1"


def test_the_interpreter_is_the_settings_or_the_separate_environments_or_there_is_none(tmp_path):
    assert find_python(VLLMConfig(python="/opt/v/python"), tmp_path) == "/opt/v/python"
    with pytest.raises(VLLMMissing, match="make vllm"):
        find_python(VLLMConfig(), tmp_path)
    beside = tmp_path / ".venv-vllm" / "bin" / "python"
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert find_python(VLLMConfig(), tmp_path) == str(beside)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("OSError: [Errno 98] Address already in use", "ASSAY_VLLM__PORT"),
        ("RuntimeError: operator torchvision::nms does not exist", "make vllm"),
        ("something else", "The whole log is"),
    ],
)
@pytest.mark.slow
def test_a_server_that_ends_at_once_shows_the_end_of_its_log_and_the_next_step(tmp_path, plan, line, told):
    python = _script(tmp_path, f"print('loading'); print({line!r}); raise SystemExit(3)")
    server = VLLMServer(VLLMConfig(port=9), plan, python)
    server.start()
    with pytest.raises(InfrastructureError, match="code 3") as caught:
        server.wait_until_ready()
    server.stop()
    assert line in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.slow
def test_a_server_that_never_answers_is_stopped(tmp_path, plan):
    python = _script(tmp_path, "import time; print('loading', flush=True); time.sleep(60)")
    server = VLLMServer(VLLMConfig(port=9, startup_timeout_s=1.5), plan, python)
    server.start()
    seen = []
    with pytest.raises(InfrastructureError, match="did not answer within"):
        server.wait_until_ready(lambda seconds, line: seen.append(line))
    assert "loading" in seen
    assert not server.is_running


@pytest.mark.slow
def test_a_port_where_something_answers_is_not_taken_over(plan):
    with FakeVLLM().served() as url:
        server = VLLMServer(VLLMConfig(port=int(url.rsplit(":", 1)[1])), plan, "python")
        with pytest.raises(InvalidInput, match="already"):
            server.start()
        server.stop()


@pytest.mark.slow
def test_a_server_is_ready_when_health_answers_and_is_gone_after_stop(tmp_path, plan):
    serve = (
        "import sys, http.server\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers()\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[sys.argv.index('--port') + 1])), H).serve_forever()\n"
    )
    server = VLLMServer(VLLMConfig(port=18437), plan, _script(tmp_path, serve))
    server.start()
    assert server.wait_until_ready() < 30
    server.stop()
    deadline = time.monotonic() + 5
    while server.is_running:
        assert time.monotonic() < deadline
