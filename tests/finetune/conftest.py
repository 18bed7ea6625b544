"""A toy decoder made once, tiny files of rows, and the warnings that TRL's own defaults raise."""

import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            # raised by TRL and transformers about each other's settings; none is about ours
            item.add_marker(pytest.mark.filterwarnings("ignore::FutureWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::UserWarning:torch"))


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    """A decoder of 0.2 M parameters that learned nothing to speak of."""
    from finetune.toy_decoder import ToyShape, make_toy_decoder

    shape = ToyShape(vocab_size=600, hidden_size=64, n_layers=2, n_heads=2, n_kv_heads=1)
    return make_toy_decoder(tmp_path_factory.mktemp("toy") / "toy", shape=shape, steps=2)


@pytest.fixture
def rows_file(tmp_path):
    """Writes rows as JSONL and returns the path."""

    def write(rows: list, name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return path

    return write


def conversation(asked: str, told: str) -> dict:
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]}


@pytest.fixture
def recipe_of(toy, tmp_path):
    """A small recipe of kind `sft` (or another) on the toy, with overrides."""
    from finetune.recipe import overridden, parse_recipe

    def make(train: Path, *overrides: str, held_out: Path | None = None, **more):
        given = {
            "kind": "sft",
            "name": "small",
            "base": {"path": str(toy)},
            "output": str(tmp_path / "out"),
            "data": {"train": [{"path": str(train), "licence": "CC0-1.0"}]},
            "lora": {"r": 4, "alpha": 8},
            "train": {
                "max_length": 64,
                "batch_size": 2,
                "max_steps": 4,
                "gradient_checkpointing": False,
                "logging_steps": 1,
            },
            "preflight": {"suites": []},
            "parity": {"n_prompts": 2, "max_new_tokens": 4},
            "tracking": {"enabled": False},
        } | more
        if held_out:
            given["data"]["eval"] = [{"path": str(held_out), "licence": "CC0-1.0"}]
        return parse_recipe(overridden(given, overrides))

    return make
