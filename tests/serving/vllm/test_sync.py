from pathlib import Path

import pytest

from serving.registry import AdapterStore, FolderRegistry, verified_digest
from serving.vllm.client import VLLMClient
from serving.vllm.sync import sync
from tests.serving.adapters import make_adapter
from tests.serving.vllm.fake_vllm import FakeVLLM


class World:
    def __init__(self, root: Path, url: str, fake: FakeVLLM) -> None:
        self.root, self.fake = root, fake
        self.registry = FolderRegistry(root / "registered")
        self.store = AdapterStore(root / "store")
        self.client = VLLMClient(url)

    def register(self, ref: str, content: bytes = b"w", **options) -> Path:
        return make_adapter(self.root / "registered" / ref, content, **options)

    def sync(self, live: dict[str, str] | None = None) -> dict[str, str]:
        return {one.ref: one.done for one in sync(self.client, self.registry, self.store, live or {})}


@pytest.fixture
def world(tmp_path):
    fake = FakeVLLM()
    with fake.served() as url:
        (tmp_path / "registered").mkdir()
        world = World(tmp_path, url, fake)
        yield world
        world.client.close()


@pytest.mark.slow
def test_what_may_answer_is_loaded_and_the_rest_is_not(world):
    for version in "1234":
        world.register(f"support@{version}", version.encode())
    world.registry.set_alias("support", "challenger", "4")
    assert world.sync({"support@2": ""}) == {"support@2": "loaded", "support@4": "loaded"}
    assert world.sync({"support@2": ""}) == {"support@2": "kept", "support@4": "kept"}
    world.registry.set_alias("support", "challenger", "3")
    assert world.sync() == {"support@3": "loaded", "support@2": "unloaded", "support@4": "unloaded"}
    assert list(world.fake.loaded) == ["support@3"]


@pytest.mark.slow
def test_names_carry_the_version_and_a_name_is_loaded_only_once(world):
    world.register("support@1")
    world.sync({"support@1": ""})
    world.sync({"support@1": ""})
    assert [name for path, name in world.fake.calls if path == "/v1/load_lora_adapter"] == ["support@1"]


@pytest.mark.slow
def test_changed_files_are_refused_and_a_loaded_one_is_unloaded(world):
    folder = world.register("support@1")
    assert world.sync({"support@1": ""}) == {"support@1": "loaded"}
    (folder / "adapter_model.safetensors").write_bytes(b"planted")
    done = sync(world.client, world.registry, world.store, {"support@1": ""})
    assert [(one.done, one.is_good) for one in done] == [("refused", False), ("unloaded", True)]
    assert "adapter_model.safetensors" in done[0].why
    assert world.fake.loaded == {}


@pytest.mark.slow
def test_a_version_that_is_not_the_one_the_gate_judged_is_refused(world):
    folder = world.register("support@1")
    assert world.sync({"support@1": "f" * 64}) == {"support@1": "refused"}
    assert world.sync({"support@1": verified_digest(folder)}) == {"support@1": "loaded"}


@pytest.mark.slow
def test_a_versioned_name_that_somebody_loaded_from_elsewhere_is_unloaded_and_never_used_again(world):
    world.register("support@1")
    world.fake.loaded["support@1"] = "/somewhere/else"
    assert world.sync({"support@1": ""})["support@1"] == "unloaded"
    assert world.sync({"support@1": ""}) == {"support@1": "refused"}
    assert world.fake.loaded == {}


@pytest.mark.slow
def test_what_was_loaded_by_hand_is_reported_and_left_alone(world):
    world.fake.loaded["mine"] = "/x"
    assert world.sync() == {"mine": "foreign"}
    assert "mine" in world.fake.loaded


@pytest.mark.slow
def test_one_that_fails_to_load_does_not_stop_the_others(world):
    world.register("big@1")
    world.register("support@1", b"s")
    world.fake.fails = "big@1"
    assert world.sync({"big@1": "", "support@1": ""}) == {"big@1": "failed", "support@1": "loaded"}


@pytest.mark.slow
def test_adapters_of_encoders_are_passed_over(world):
    world.register("embedder@1", task="FEATURE_EXTRACTION")
    assert world.sync({"embedder@1": ""}) == {}
