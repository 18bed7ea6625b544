import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from data.errors import InvalidInput, NotFound
from serving.local.adapter_folder import load_adapter
from tests.serving.local.small_bert import small_deltas, write_adapter

DELTAS = small_deltas(1, rank=4)


def test_what_was_saved_is_read_scaled_and_turned_around(tmp_path):
    adapter = load_adapter(write_adapter(tmp_path / "screen", DELTAS, labels=["bad", "good"], threshold=0.4))
    assert adapter.name == "screen"
    assert (adapter.config.labels, adapter.config.threshold) == (("bad", "good"), 0.4)
    for module, (down, up) in DELTAS.items():
        found = adapter.deltas[module]
        np.testing.assert_allclose(found[0] @ found[1], down @ up, atol=1e-5)


@pytest.mark.parametrize(("pooling", "shape"), [("tokens", (3, 2)), ("cls", (2,)), ("mean", (2,))])
def test_the_head_reads_what_it_was_trained_to_read(tmp_path, pooling, shape):
    adapter = load_adapter(write_adapter(tmp_path / "head", DELTAS, pooling=pooling))
    states = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    by_hand = {"tokens": states, "cls": states[0], "mean": (states[0] + states[1] + states[2]) / 3}[pooling]
    expected = [
        [sum(x * w for x, w in zip(row, out, strict=True)) for out in adapter.weight] for row in np.atleast_2d(by_hand)
    ]
    assert adapter.logits(states).shape == shape
    np.testing.assert_allclose(np.atleast_2d(adapter.logits(states)), expected + adapter.bias, atol=1e-5)


def test_the_digest_changes_with_any_file(tmp_path):
    folder = write_adapter(tmp_path / "one", DELTAS)
    before = load_adapter(folder).digest
    config = json.loads((folder / "head_config.json").read_text())
    (folder / "head_config.json").write_text(json.dumps(config | {"threshold": 0.9}))
    assert load_adapter(folder).digest != before


def test_a_folder_without_a_head_is_refused(tmp_path):
    folder = write_adapter(tmp_path / "one", DELTAS)
    (folder / "head.safetensors").unlink()
    with pytest.raises(NotFound, match=r"head\.safetensors"):
        load_adapter(folder)


def test_an_adapter_of_another_kind_is_refused(tmp_path):
    folder = write_adapter(tmp_path / "one", DELTAS)
    saved = load_file(folder / "adapter_model.safetensors")
    save_file(
        saved | {"base_model.model.x.lora_magnitude_vector": np.ones(3, np.float32)},
        folder / "adapter_model.safetensors",
    )
    with pytest.raises(InvalidInput, match="low-rank"):
        load_adapter(folder)


def test_a_head_config_that_says_too_little_is_refused(tmp_path):
    folder = write_adapter(tmp_path / "one", DELTAS)
    (folder / "head_config.json").write_text("{}")
    with pytest.raises(InvalidInput, match="max_length"):
        load_adapter(folder)
