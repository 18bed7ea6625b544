"""One real vLLM server for the whole test run, over a toy decoder made on the spot. Both are made by child processes.

Takes a minute or two and 3 GB; only tests marked `vllm` ask for it.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.settings import ROOT, inherited_environment
from serving.vllm.client import VLLMClient
from serving.vllm.config import VLLMConfig
from serving.vllm.process import ServerPlan, VLLMServer, find_python

KEY = "key-of-the-test-server"
BASE = "toy"
TOY_STEPS = 60
"""Steps of pre-training: enough to have seen turns begin and end. Adapters bring what it knows."""


@dataclass(frozen=True)
class RealVLLM:
    url: str
    key: str
    base: Path
    server: VLLMServer

    @property
    def client(self) -> VLLMClient:
        return self.server.client


def run_python(*arguments: str | Path, timeout_s: float = 1800) -> str:
    """Run a module of ours in its own process, so that its libraries' warnings and memory stay out of the tests'.

    One thread: a model this small gains nothing from two, and on a busy machine waiting for the second costs it dearly.
    """
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=inherited_environment() | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}"
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def toy_base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "base"
    run_python("-m", "finetune.toy_decoder", folder, "--steps", str(TOY_STEPS))
    return folder


@pytest.fixture(scope="session")
def real_vllm(toy_base, tmp_path_factory) -> Iterator[RealVLLM]:
    config = VLLMConfig(port=free_port(), dtype="float32", max_model_len=2048, max_loras=4, max_lora_rank=16)
    log = tmp_path_factory.mktemp("vllm") / "vllm.log"
    plan = ServerPlan(str(toy_base), BASE, inherited_environment(), log, KEY)
    server = VLLMServer(config, plan, find_python(config, ROOT))
    try:
        server.start()
        server.wait_until_ready()
        yield RealVLLM(f"http://127.0.0.1:{config.port}/v1", KEY, toy_base, server)
    finally:
        server.stop()
