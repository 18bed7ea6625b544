"""Everything we ask of vLLM, asked of a real server."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from data.errors import InvalidInput, Unauthenticated
from finetune.served import ServedForm
from serving.registry import AdapterStore, FolderRegistry
from serving.vllm.client import VLLMClient
from serving.vllm.sync import sync
from tests.vllm_server import BASE, run_python

pytestmark = [pytest.mark.vllm, pytest.mark.slow]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def registry(toy_base, tmp_path_factory) -> FolderRegistry:
    """Two adapters with random weights, as training registers them."""
    root = tmp_path_factory.mktemp("registered")
    run_python(HERE / "random_adapter.py", toy_base, root / "random@1", root / "random@2")
    return FolderRegistry(root)


@pytest.fixture
def synced(real_vllm, registry, tmp_path):
    """`synced("random@1")` makes those versions live, syncs, and gives what was done; everything is unloaded at the end."""
    store = AdapterStore(tmp_path / "store")

    def run(*refs: str, of: FolderRegistry = registry) -> dict[str, str]:
        return {one.ref: one.done for one in sync(real_vllm.client, of, store, dict.fromkeys(refs, ""))}

    yield run
    run()


def test_a_wrong_key_is_refused(real_vllm):
    with closing(VLLMClient(real_vllm.url, "wrong")) as client, pytest.raises(Unauthenticated):
        client.models()


def test_sync_loads_and_unloads_adapters_at_run_time(real_vllm, synced):
    assert synced("random@1", "random@2") == {"random@1": "loaded", "random@2": "loaded"}
    models = {m.id: m for m in real_vllm.client.models()}
    assert set(models) == {BASE, "random@1", "random@2"}
    assert models["random@1"].parent == BASE
    assert synced("random@2") == {"random@2": "kept", "random@1": "unloaded"}
    with pytest.raises(InvalidInput, match="404"):
        real_vllm.client.chat("random@1", [{"role": "user", "content": "Hi"}], 2)


def test_the_name_chooses_the_adapter(real_vllm, synced):
    synced("random@1", "random@2")
    ids = ServedForm(real_vllm.client.ask, BASE).token_ids([{"role": "user", "content": "Who pays for the fuel?"}])
    scores = {name: ServedForm(real_vllm.client.ask, name).logprobs(ids) for name in (BASE, "random@1", "random@2")}
    for a, b in ((BASE, "random@1"), (BASE, "random@2"), ("random@1", "random@2")):
        assert max(abs(x - y) for x, y in zip(scores[a], scores[b], strict=True)) > 0.01, (a, b)


@pytest.mark.parametrize("name", [BASE, "random@1"])
def test_the_server_scores_tokens_as_transformers_does(real_vllm, synced, registry, name):
    """Template token ids identical, every log-probability within 0.005 nats, endings alike."""
    synced("random@1")
    adapter = "-" if name == BASE else str(registry._root / name)
    out = run_python(HERE / "served_parity.py", real_vllm.base, adapter, real_vllm.url, real_vllm.key, name)
    report = json.loads(out.splitlines()[-1])
    assert report["wrong"] == []
    assert report["n"] > 40


def test_parity_finds_that_another_adapter_is_served(real_vllm, synced, registry):
    synced("random@1", "random@2")
    adapter = registry._root / "random@2"
    out = run_python(HERE / "served_parity.py", real_vllm.base, adapter, real_vllm.url, real_vllm.key, "random@1")
    assert any("logprobs" in wrong for wrong in json.loads(out.splitlines()[-1])["wrong"])


def test_a_tampered_adapter_is_not_loaded(real_vllm, synced, registry, tmp_path):
    planted = tmp_path / "registered" / "planted@1"
    shutil.copytree(registry._root / "random@1", planted)
    weights = planted / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    assert synced("planted@1", of=FolderRegistry(planted.parent)) == {"planted@1": "refused"}
    assert [m.id for m in real_vllm.client.models()] == [BASE]


def test_a_schema_and_a_choice_bind_the_reply(real_vllm):
    schema = {"type": "object", "properties": {"team": {"enum": ["a", "b"]}}, "required": ["team"]}
    body = {
        "model": BASE,
        "messages": [{"role": "user", "content": "Which team?"}],
        "max_tokens": 40,
        "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": {"name": "t", "schema": schema}},
    }
    found = real_vllm.client.ask("POST", "/v1/chat/completions", body)["choices"][0]["message"]["content"]
    assert json.loads(found)["team"] in ("a", "b")
    chosen = body | {"response_format": None, "structured_outputs": {"choice": ["yes", "no"]}}
    assert real_vllm.client.ask("POST", "/v1/chat/completions", chosen)["choices"][0]["message"]["content"] in (
        "yes",
        "no",
    )


def test_health_needs_no_key_and_metrics_show_the_queue_that_the_autoscaler_reads(real_vllm):
    root = real_vllm.url.removesuffix("/v1")
    assert httpx.get(f"{root}/health").status_code == 200
    assert "vllm:num_requests_waiting" in httpx.get(f"{root}/metrics").text
