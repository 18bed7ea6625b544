import json
from dataclasses import replace

import pytest

from finetune.launch import Place
from finetune.recipe import overridden, parse_recipe
from finetune.trainer_settings import checkpoint_folder, checkpoint_to_resume, trainer_settings, uses_bf16

pytestmark = pytest.mark.slow  # imports torch
FILES = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth")


@pytest.fixture
def recipe(tmp_path):
    data = {"train": [{"path": "rows.jsonl", "licence": "MIT"}]}
    return parse_recipe({"kind": "sft", "name": "a", "base": {"path": "x"}, "data": data, "output": str(tmp_path)})


def checkpoint(recipe, step: int, without: str = "", state: str = "{}"):
    folder = checkpoint_folder(recipe) / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in FILES:
        if name != without:
            (folder / name).write_bytes(b"x")
    (folder / "trainer_state.json").write_text(state)
    return str(folder)


def test_the_newest_whole_checkpoint_is_resumed(recipe):
    checkpoint(recipe, 9)
    newest = checkpoint(recipe, 10)
    checkpoint(recipe, 11, without="optimizer.pt")
    checkpoint(recipe, 12, state=json.dumps({"log_history": []})[:9])
    checkpoint(recipe, 13, without="rng_state.pth")
    assert checkpoint_to_resume(recipe, Place()) == newest


def test_another_learning_rate_starts_anew_and_removes_the_old_checkpoints(recipe):
    old = checkpoint(recipe, 10)
    other = recipe.model_copy(update={"train": recipe.train.model_copy(update={"learning_rate": 1.0})})
    assert checkpoint_to_resume(other, replace(Place(), rank=1)) is None
    assert checkpoint_to_resume(recipe, Place()) == old, "only the main process removes"
    assert checkpoint_to_resume(other, Place()) is None
    assert checkpoint_to_resume(recipe, Place()) is None


def test_a_recipe_that_will_not_resume_starts_anew(recipe):
    checkpoint(recipe, 10)
    fresh = recipe.model_copy(update={"train": recipe.train.model_copy(update={"resume": False})})
    assert checkpoint_to_resume(fresh, Place()) is None


def test_ranks_on_the_cpu_talk_through_gloo_and_one_process_through_nothing(recipe):
    assert trainer_settings(recipe, Place(world_size=2))["ddp_backend"] == "gloo"
    assert trainer_settings(recipe, Place())["ddp_backend"] is None


def test_evaluating_every_few_steps_saves_as_often(recipe):
    given = overridden(recipe.model_dump(mode="json"), ["train.eval_steps=5"])
    settings = trainer_settings(parse_recipe(given), Place())
    assert (settings["eval_strategy"], settings["eval_steps"], settings["save_strategy"], settings["save_steps"]) == (
        "steps",
        5,
        "steps",
        5,
    )


def test_bf16_is_what_the_recipe_says_where_it_says(recipe):
    assert uses_bf16(recipe.train.model_copy(update={"bf16": True}))
    assert not uses_bf16(recipe.train.model_copy(update={"bf16": False}))
