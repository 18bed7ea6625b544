"""What recipes do on a CUDA device and nowhere else: bf16, 4 bits, attention implementations."""

from importlib.util import find_spec

import pytest
import torch

from finetune import sft
from finetune.decoder_model import load_base
from finetune.launch import Place
from tests.finetune.conftest import conversation

pytestmark = [pytest.mark.gpu, pytest.mark.slow]
ROWS = [
    conversation(f"Which colour has the {t} of house {i}?", f"{t} {i} is red")
    for i, t in enumerate(["lamp", "desk", "door", "roof"] * 6)
]
ATTENTION = ("sdpa", "eager", "flash_attention_2")


@pytest.fixture
def trained(recipe_of, rows_file):
    """Train a recipe with overrides; gives (recipe, prepared, what training left)."""

    def run(*overrides: str):
        recipe = recipe_of(rows_file(ROWS[:20], "t.jsonl"), *overrides, held_out=rows_file(ROWS[20:], "e.jsonl"))
        prepared = sft.prepare(recipe)
        return recipe, prepared, sft.train(recipe, prepared, Place(), lambda point: None)

    return run


def losses(result) -> list[float]:
    return [point["loss"] for point in result.curve if "loss" in point]


def test_lora_trains_in_bf16_on_the_device_and_its_forms_answer_alike(trained):
    recipe, prepared, result = trained("train.max_steps=12", "train.learning_rate=5e-3")
    assert losses(result)[-1] < losses(result)[0]
    assert 0 < result.peak_memory_bytes == torch.cuda.max_memory_allocated()
    assert load_base(recipe.base, bf16=True).dtype is torch.bfloat16
    assert sft.sft_config(recipe, Place()).bf16
    assert sft.check_parity(recipe, prepared, result, None).is_passed


def test_qlora_holds_the_base_in_four_bits_on_the_device(trained):
    recipe, prepared, result = trained(
        "base.quantise=nf4", "train.max_steps=12", "train.learning_rate=5e-3", "train.optimizer=paged_adamw_8bit"
    )
    base = load_base(recipe.base, bf16=True)
    assert {p.device.type for p in base.parameters()} == {"cuda"}
    assert any(p.dtype is torch.uint8 for p in base.parameters())
    assert losses(result)[-1] < losses(result)[0]
    assert sft.check_parity(recipe, prepared, result, None).is_passed


@pytest.mark.parametrize("attention", ATTENTION)
def test_attention_implementations_learn_the_same_from_packed_rows(trained, attention):
    if attention == "flash_attention_2" and find_spec("flash_attn") is None:
        pytest.skip("gpu: flash_attention_2 needs the package flash-attn")
    expected = losses(trained("base.attn_implementation=sdpa", "train.packing=true")[2])
    found = losses(trained(f"base.attn_implementation={attention}", "train.packing=true")[2])
    assert found == pytest.approx(expected, abs=0.05), "bf16 rounds to about 1 %"
