"""vLLM on a CUDA device, with the flags that matter there."""

import os
import sys
from importlib.util import find_spec

import pytest

from app.settings import inherited_environment
from serving.vllm.config import VLLMConfig
from serving.vllm.process import ServerPlan, VLLMServer, command
from tests.vllm_server import free_port

GPU = VLLMConfig(
    port=8011,
    dtype="bfloat16",
    max_model_len=512,
    extra_args=("--gpu-memory-utilization", "0.3", "--tensor-parallel-size", "1"),
)


def test_flags_of_a_gpu_are_passed_on_as_they_are(tmp_path):
    told = command(GPU, ServerPlan("base", "toy", {}, tmp_path / "log"), sys.executable)
    assert told[-4:] == ["--gpu-memory-utilization", "0.3", "--tensor-parallel-size", "1"]
    assert told[told.index("--dtype") + 1] == "bfloat16"
    assert "--enable-lora" in told


@pytest.mark.gpu
@pytest.mark.slow
def test_a_server_on_the_device_answers_with_its_memory_bounded(toy_base, tmp_path):
    python = os.environ.get("ASSAY_VLLM__PYTHON") or (sys.executable if find_spec("vllm") else "")
    if not python:
        pytest.skip(
            "gpu: name an interpreter with vLLM for CUDA in ASSAY_VLLM__PYTHON (.venv-vllm holds it for processors)"
        )
    config = GPU.model_copy(update={"port": free_port()})
    plan = ServerPlan(str(toy_base), "toy", inherited_environment(), tmp_path / "vllm.log")
    server = VLLMServer(config, plan, python)
    try:
        server.start()
        server.wait_until_ready()
        assert isinstance(server.client.chat("toy", [{"role": "user", "content": "Hi"}], 4), str)
    finally:
        server.stop()
