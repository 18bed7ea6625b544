"""An encoder adapter as finetune wrote it, read without torch and without PEFT. Knows no graph and no session.

A folder holds `adapter_config.json`, `adapter_model.safetensors` (PEFT's format, linear layers only), `head.safetensors` and
`head_config.json`: what the head reads, what its outputs mean, how long the texts are that it was trained on.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.numpy import load_file

from data.errors import InvalidInput, NotFound

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
HEAD, HEAD_CONFIG = "head.safetensors", "head_config.json"
PREFIX = "base_model.model."
REMAKE = "Train it with a recipe of finetune/recipes, and name its folder `adapter`."

Delta = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Down [in, rank] and up [rank, out], scaled: y = W x + x down up."""


class HeadConfig(BaseModel):
    """head_config.json; fields of one kind are empty in the others."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str
    pooling: str
    max_length: int
    labels: tuple[str, ...] = ()
    threshold: float = 0.5
    stride: int = 96
    max_answer_tokens: int = 30
    premise: str = ""
    exit_layer: int | None = None
    """The layer whose states the head reads; None for the last."""
    slope: float = 1.0
    """Of the reader's probability: sigmoid(slope * (score - threshold))."""
    missing: dict[str, float] = {}
    """What a span's score loses for each thing that the question asks for and that does not stand around it (`data.asked.KINDS`)."""
    beside: dict[str, float] = {}
    """Of a grounding adapter: a constant, and what its log-odds and token recall are worth; empty: its word alone stands."""


@dataclass(frozen=True)
class HeadAdapter:
    """`deltas` by module, `weight` [outputs, hidden] and `bias` [outputs] of the head. `digest` is over all the files read."""

    name: str
    digest: str
    deltas: Mapping[str, Delta]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    config: HeadConfig

    def logits(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of one row's states [length, hidden]: [length, outputs] where the head reads tokens, else [outputs]."""
        read = {"tokens": lambda: states, "cls": lambda: states[0], "mean": lambda: states.mean(0)}
        return read[self.config.pooling]() @ self.weight.T + self.bias


def load_adapter(folder: Path, name: str = "") -> HeadAdapter:
    """Read a folder. Raises: NotFound, InvalidInput."""
    files = {file: folder / file for file in (CONFIG, WEIGHTS, HEAD, HEAD_CONFIG)}
    if missing := [file for file, path in files.items() if not path.is_file()]:
        raise NotFound(f"{folder} has no {', '.join(missing)}.", next_step=REMAKE)
    digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files.values()))
    try:
        lora, config = json.loads(files[CONFIG].read_bytes()), HeadConfig(**json.loads(files[HEAD_CONFIG].read_bytes()))
    except (ValueError, ValidationError) as error:
        raise InvalidInput(f"{folder} cannot be read: {error}", next_step=REMAKE) from error
    head = load_file(files[HEAD])
    deltas = _deltas(load_file(files[WEIGHTS]), lora, folder)
    return HeadAdapter(name or folder.name, digest.hexdigest(), deltas, head["head.weight"], head["head.bias"], config)


def _deltas(saved: Mapping[str, NDArray[np.float32]], lora: Mapping[str, Any], folder: Path) -> dict[str, Delta]:
    odd = [name for name in saved if not name.endswith((".lora_A.weight", ".lora_B.weight"))]
    used = [option for option in ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save") if lora.get(option)]
    if odd or used:
        raise InvalidInput(
            f"{folder} has {', '.join(used or odd[:3])}; an adapter here is low-rank updates of linear layers and nothing else.",
            next_step="Set lora.target_modules to all-linear in its recipe.",
        )
    scale = lora["lora_alpha"] / (lora["r"] ** 0.5 if lora.get("use_rslora") else lora["r"])
    out = {}
    for name, down in saved.items():
        if name.endswith(".lora_A.weight"):
            layer = name.removesuffix(".lora_A.weight")
            up = saved[f"{layer}.lora_B.weight"] * np.float32(scale)
            pair = (np.ascontiguousarray(down.T, np.float32), np.ascontiguousarray(up.T, np.float32))
            out[layer.removeprefix(PREFIX)] = pair
    return out
