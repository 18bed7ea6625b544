"""Whether an encoder adapter answers alike in its forms: with the base, merged, and as deltas beside a shared backbone.

The last form is computed here from the files alone (W + alpha/r * B A, no PEFT): it is what serving does.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from finetune.encoder_recipes import EncoderRecipe
from finetune.encoders.adapted_encoder import PEFT_PREFIX, AdaptedEncoder, load_backbone, load_encoder, load_head
from finetune.encoders.batches import Item, logits_of
from finetune.parity_report import Mismatch, ParityReport

SKIPPED = "served: the adapter is read by the local encoder; `deltas` is how it does"
Outputs = list[NDArray[np.float32]]


def check_head(recipe: EncoderRecipe, folder: Path, items: Sequence[Item], n_listed: int = 1) -> ParityReport:
    """Compare log-probabilities of all outputs on a few held-out items, in float32; `n_listed` items stand for one where scores
    are compared within a list."""
    picked = list(items[: recipe.parity.n_prompts * n_listed])
    pooling = json.loads((folder / "head_config.json").read_text("utf-8"))["pooling"]
    merged = load_encoder(recipe.base, folder)
    merged.backbone = merged.backbone.merge_and_unload()
    deltas = AdaptedEncoder(with_deltas(load_backbone(recipe.base), folder), load_head(folder), pooling)
    forms = {"base with adapter": load_encoder(recipe.base, folder), "merged": merged, "deltas": deltas}
    axis = 0 if pooling == "tokens" else -1
    outputs = {}
    for name, form in forms.items():
        logits = logits_of(form, picked, 8)
        if n_listed > 1:
            logits = [np.concatenate(logits[i : i + n_listed]) for i in range(0, len(logits), n_listed)]
        outputs[name] = [log_softmax(row, axis) for row in logits]
    n_tokens = sum(len(item["input_ids"]) for item in picked)
    return compare_outputs(outputs, n_tokens, recipe.parity.logprob_tolerance)


def compare_outputs(outputs: dict[str, Outputs], n_tokens: int, tolerance: float) -> ParityReport:
    """Compare every form's outputs with the first form's."""
    first, *others = outputs
    found, largest = [], 0.0
    for name in others:
        apart = [float(np.abs(a - b).max()) for a, b in zip(outputs[first], outputs[name], strict=True)]
        worst = int(np.argmax(apart)) if apart else 0
        largest = max([largest, *apart])
        if apart and not apart[worst] <= tolerance:
            detail = f"log-probabilities differ by {apart[worst]:.4g} nats; allowed are {tolerance:g}"
            mend = "Check that both load the same base (digest in the manifest) in one precision."
            found.append(Mismatch("logprobs", (first, name), f"held-out item {worst}", detail, mend))
    return ParityReport(
        tuple(outputs), len(outputs[first]), n_tokens * len(others), largest, tolerance, tuple(found), (SKIPPED,)
    )


def with_deltas(backbone: nn.Module, folder: Path) -> nn.Module:
    """Add alpha/r * B A to each adapted weight of the backbone, from the files alone."""
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    saved = load_file(folder / "adapter_model.safetensors")
    scale = config["lora_alpha"] / (config["r"] ** 0.5 if config["use_rslora"] else config["r"])
    weights = dict(backbone.named_parameters())
    with torch.no_grad():
        for name, down in saved.items():
            if name.endswith(".lora_A.weight"):
                layer = name.removesuffix(".lora_A.weight")
                up = saved[f"{layer}.lora_B.weight"]
                weights[f"{layer.removeprefix(PEFT_PREFIX)}.weight"] += scale * up @ down
    return backbone.eval()


def log_softmax(logits: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    shifted = logits - logits.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
