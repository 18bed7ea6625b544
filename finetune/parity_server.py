"""The vLLM server that a recipe's parity check asks before an adapter is registered: one that runs, or one started for the check.

Knows nothing of registry and rollout: servers that people's questions reach are operated by `assay llm`.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from data.errors import InfrastructureError, ModelUnavailable, UsageError
from finetune.decoder_recipes import DecoderRecipe
from finetune.launch import child_environment, server_key
from finetune.manifest import weights_digest
from finetune.parity_report import Remote
from finetune.recipe import AnyRecipe
from finetune.recipe_parts import ServedParity
from finetune.served import Ask, ServedForm

QUICK_S = 5.0
ANSWERS_WITHIN_S = 120.0
RANKS = (8, 16, 32, 64, 128, 256)
"""What `--max-lora-rank` may be."""
TAIL_LINES = 25
STOPS_WITHIN_S = 20.0


def wanted(recipe: AnyRecipe) -> ServedParity | None:
    """The server that the recipe asks for, if it does."""
    return recipe.parity.served if isinstance(recipe, DecoderRecipe) else None


def check_server(recipe: AnyRecipe) -> None:
    """Find out before training that the server will be there after it. Raises: ModelUnavailable, UsageError."""
    server = wanted(recipe)
    if server is None:
        return
    if server.python is not None and not server.python.exists():
        raise UsageError(
            f"There is no interpreter {server.python} to start vLLM with.",
            next_step="Make its environment with: make vllm, or leave parity.served out.",
        )
    if server.url is not None:
        with _client(server.url) as client:
            _asker(client)("GET", "/v1/models", None)


@contextmanager
def served_form(recipe: AnyRecipe, folder: Path) -> Iterator[Remote | None]:
    """The adapter in `folder` on the recipe's server while the block runs; None where the recipe asks for none.

    Raises: ModelUnavailable, InfrastructureError.
    """
    server = wanted(recipe)
    if server is None:
        yield None
        return
    name = f"{recipe.name}@parity-{weights_digest(folder)[:12]}"
    if server.url is not None:
        with _client(server.url) as client, _loaded(_asker(client), name, folder) as form:
            yield form
    else:
        with _started(recipe, server, name, folder) as url, _client(url) as client:
            yield ServedForm(_asker(client), name)


@contextmanager
def _loaded(ask: Ask, name: str, folder: Path) -> Iterator[Remote]:
    ask("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(folder.resolve())})
    try:
        yield ServedForm(ask, name)
    finally:
        ask("POST", "/v1/unload_lora_adapter", {"lora_name": name})


@contextmanager
def _started(recipe: DecoderRecipe, server: ServedParity, name: str, folder: Path) -> Iterator[str]:
    port = _free_port()
    log = recipe.folder / "parity-server.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command(recipe, server, name, folder, port),
            env=child_environment(VLLM_NO_USAGE_STATS="1", VLLM_CPU_KVCACHE_SPACE="1"),
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, url, server.startup_timeout_s, log)
        yield url
    finally:
        _stop(process)


def command(recipe: DecoderRecipe, server: ServedParity, name: str, folder: Path, port: int) -> list[str]:
    """Base and adapter in float32, as parity compares them, with the template that was trained with."""
    longest = recipe.train.max_length + recipe.parity.max_new_tokens
    out = [str(server.python), "-m", "vllm.entrypoints.cli.main", "serve", recipe.base.path, "--dtype", "float32"]
    out += ["--host", "127.0.0.1", "--port", str(port), "--enforce-eager", "--max-num-seqs", "4"]
    out += ["--max-model-len", str(longest), "--max-num-batched-tokens", str(max(2048, longest))]
    out += ["--enable-lora", "--max-lora-rank", str(next(r for r in RANKS if r >= recipe.lora.r))]
    out += ["--lora-modules", f"{name}={folder.resolve()}"]
    if recipe.base.revision:
        out += ["--revision", recipe.base.revision]
    if recipe.base.chat_template:
        out += ["--chat-template", str(recipe.base.chat_template)]
    return out + list(server.args)


def _wait(process: subprocess.Popen, url: str, timeout_s: float, log: Path) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _failed(f"vLLM ended with code {process.returncode} before it answered.", log)
        try:
            if httpx.get(f"{url}/health", timeout=QUICK_S, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise _failed(f"vLLM did not answer within {timeout_s:.0f} s.", log)


def _failed(what: str, log: Path) -> InfrastructureError:
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
    return InfrastructureError(f"{what} The end of its log:\n{tail}\n", next_step=f"The whole log is {log}.")


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _client(url: str) -> httpx.Client:
    key = server_key()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    base = url.rstrip("/").removesuffix("/v1")
    return httpx.Client(base_url=base, headers=headers, timeout=ANSWERS_WITHIN_S, trust_env=False)


def _asker(client: httpx.Client) -> Ask:
    def ask(method: str, path: str, body: dict[str, Any] | None) -> Any:
        try:
            response = client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ModelUnavailable(
                f"The server of parity.served.url ({client.base_url}) did not answer: {type(error).__name__}.",
                next_step="Start one with: assay llm up --model DIR, or leave parity.served out.",
            ) from error
        if response.status_code >= 400:
            raise ModelUnavailable(
                f"vLLM refused {method} {path} with {response.status_code}: {response.text[:400]}",
                next_step="It must see the adapter's folder, run with --enable-lora and "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, and VLLM_API_KEY must hold its key.",
            )
        return response.json() if "json" in response.headers.get("content-type", "") else response.text

    return ask


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
