"""Starts a vLLM server as a child process and waits until it answers. Knows nothing of adapters' registry or rollout."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from data.errors import InfrastructureError, InvalidInput, UsageError
from serving.vllm.client import VLLMClient
from serving.vllm.config import VLLMConfig

TAIL_LINES = 25
STOP_S = 20.0
QUIRKS = {  # what of vLLM's log tells a person what to do
    "Address already in use": "Another program has the port: set ASSAY_VLLM__PORT.",
    "CUDA out of memory": "Give it a smaller model, or lower ASSAY_VLLM__MAX_MODEL_LEN.",
    "No such file or directory": "Check the path after --model.",
    "operator torchvision::nms does not exist": "Run: make vllm (torchvision must not be installed beside CPU torch).",
    "is greater than the derived max_model_len": "Lower ASSAY_VLLM__MAX_MODEL_LEN to what the model was made for.",
}


class VLLMMissing(UsageError):
    code = "vllm_missing"


@dataclass(frozen=True)
class ServerPlan:
    """What to serve. `environment` is the whole environment of the child."""

    model: str
    name: str
    environment: Mapping[str, str]
    log: Path
    api_key: str = ""


def find_python(config: VLLMConfig, root: Path) -> str:
    """The interpreter that has vLLM: the setting's, this one, or the separate environment's. Raises: VLLMMissing."""
    beside = root / ".venv-vllm" / "bin" / "python"
    if config.python:
        return config.python
    if find_spec("vllm") is not None:
        return sys.executable
    if beside.exists():
        return str(beside)
    raise VLLMMissing(
        "vLLM is not installed here.",
        next_step="Make its own environment with: make vllm (CPU), or .venv/bin/pip install vllm (GPU); "
        "or use a running one: ASSAY_LLM__BASE_URL=http://host:8000/v1",
    )


def command(config: VLLMConfig, plan: ServerPlan, python: str) -> list[str]:
    """The arguments of `vllm serve`; the key goes through the environment, where other users cannot read it."""
    out = [python, "-m", "vllm.entrypoints.cli.main", "serve", plan.model, "--served-model-name", plan.name]
    out += ["--host", config.host, "--port", str(config.port), "--dtype", config.dtype]
    out += ["--max-num-seqs", str(config.max_num_seqs), "--enable-lora", "--max-loras", str(config.max_loras)]
    out += ["--max-cpu-loras", str(max(config.max_cpu_loras, config.max_loras))]
    out += ["--max-lora-rank", str(config.max_lora_rank)]
    out += ["--structured-outputs-config", '{"backend":"xgrammar","disable_any_whitespace":true}']
    if config.max_model_len:
        out += ["--max-model-len", str(config.max_model_len)]
        out += ["--max-num-batched-tokens", str(max(2048, config.max_model_len))]
    return out + list(config.extra_args)


def environment(config: VLLMConfig, plan: ServerPlan) -> dict[str, str]:
    out = dict(plan.environment) | {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "VLLM_CPU_KVCACHE_SPACE": str(config.kv_cache_gib),
    }
    if plan.api_key:
        out["VLLM_API_KEY"] = plan.api_key
    if Path(plan.model).exists():
        out["HF_HUB_OFFLINE"] = "1"
    return out


class VLLMServer:
    """A child process. `start()`, then `wait_until_ready()`; `stop()` always."""

    def __init__(self, config: VLLMConfig, plan: ServerPlan, python: str) -> None:
        self._config = config
        self._plan = plan
        self._python = python
        self._process: subprocess.Popen | None = None
        self.client = VLLMClient(f"http://{_reachable(config.host)}:{config.port}", plan.api_key)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self, *, detached: bool = False) -> None:
        """Raises: InvalidInput when something answers at the port already."""
        if self.client.is_healthy():
            raise InvalidInput(
                f"A server answers at {self.client.base_url} already.",
                next_step=f"Use it with ASSAY_LLM__BASE_URL={self.client.base_url}/v1, or set ASSAY_VLLM__PORT.",
            )
        self._plan.log.parent.mkdir(parents=True, exist_ok=True)
        with self._plan.log.open("w") as log:
            self._process = subprocess.Popen(
                command(self._config, self._plan, self._python),
                env=environment(self._config, self._plan),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=detached,
            )

    def wait_until_ready(self, progress: Callable[[float, str], None] = lambda seconds, line: None) -> float:
        """Seconds until /health answered. `progress` gets the seconds and the log's newest line, twice a second.

        Raises: InfrastructureError with the end of the log, when the server ends or takes too long.
        """
        began = time.monotonic()
        while (took := time.monotonic() - began) < self._config.startup_timeout_s:
            if self._process is None or self._process.poll() is not None:
                code = self._process.returncode if self._process else None
                raise self._failure(f"vLLM ended with code {code} before it answered.")
            if self.client.is_healthy():
                return took
            progress(took, (self.tail(1) or [""])[-1])
            time.sleep(0.5)
        self.stop()
        raise self._failure(f"vLLM did not answer within {self._config.startup_timeout_s:.0f} s.")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ask it to end, then make it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.client.close()

    def tail(self, n: int = TAIL_LINES) -> Sequence[str]:
        try:
            return self._plan.log.read_text(errors="replace").splitlines()[-n:]
        except OSError:
            return []

    def _failure(self, what: str) -> InfrastructureError:
        text = "\n".join(self.tail(200))
        known = next((step for sign, step in QUIRKS.items() if sign in text), f"The whole log is {self._plan.log}.")
        return InfrastructureError(f"{what} The end of its log:\n" + "\n".join(self.tail()) + "\n", next_step=known)


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
