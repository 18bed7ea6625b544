"""Token ids to padded tensors, for training and for measuring. Knows no kind and no weights."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Item = dict[str, Any]
"""`input_ids`, `token_type_ids` and perhaps `labels`: a number, or an array with a row per token."""


PAD_TO = 8
"""Lengths are multiples of it: in bfloat16 the CPU's kernels keep memory for every length that they ever saw."""


def padded(items: Sequence[Item]) -> dict[str, Tensor]:
    """Pad with zeros on the right; token labels too (0 is "outside")."""
    longest = -(-max(len(item["input_ids"]) for item in items) // PAD_TO) * PAD_TO
    ids, types, mask = (np.zeros((len(items), longest), np.int64) for _ in range(3))
    for i, item in enumerate(items):
        n = len(item["input_ids"])
        ids[i, :n], types[i, :n], mask[i, :n] = item["input_ids"], item["token_type_ids"], 1
    batch = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
    if "labels" in items[0]:
        batch["labels"] = _labels([item["labels"] for item in items], longest)
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def padded_lists(items: Sequence[Item]) -> dict[str, Tensor]:
    """Items whose `candidates` are to be compared with one another, the right one first: all in one batch, list after list."""
    batch = padded([candidate for item in items for candidate in item["candidates"]])
    return batch | {"labels": torch.zeros(len(items), dtype=torch.long)}


def logits_of(
    model: nn.Module, items: Sequence[Item], batch_size: int, *, bf16: bool = False
) -> list[NDArray[np.float32]]:
    """The logits of each item, padding cut off, in the order given."""
    return _read(model, items, batch_size, bf16, lambda out: out["logits"])


def states_of(
    backbone: nn.Module, items: Sequence[Item], batch_size: int, *, bf16: bool = False
) -> list[NDArray[np.float32]]:
    """The token states [tokens, hidden] of each item, in the order given."""
    return _read(backbone, items, batch_size, bf16, lambda out: out.last_hidden_state)


@torch.no_grad()
def _read(
    model: nn.Module, items: Sequence[Item], batch_size: int, bf16: bool, what: Callable[[Any], Tensor]
) -> list[NDArray[np.float32]]:
    model.eval()
    device = next(model.parameters()).device
    found: dict[int, NDArray[np.float32]] = {}
    for picked in by_length(items, batch_size):
        bare = [{name: items[i][name] for name in ("input_ids", "token_type_ids")} for i in picked]
        batch = {name: tensor.to(device) for name, tensor in padded(bare).items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            rows = what(model(**batch)).float().cpu().numpy()
        for i, row in zip(picked, rows, strict=True):
            found[i] = row[: len(items[i]["input_ids"])] if row.ndim == 2 else row
    return [found[i] for i in range(len(items))]


def by_length(items: Sequence[Item], batch_size: int) -> Iterator[list[int]]:
    """Numbers of items in batches of like length."""
    order = sorted(range(len(items)), key=lambda i: len(items[i]["input_ids"]))
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))


Collate = Callable[[Sequence[Item]], dict[str, Tensor]]


def _labels(labels: Sequence[Any], longest: int) -> NDArray[np.int64]:
    if not isinstance(labels[0], np.ndarray):
        return np.asarray(labels, np.int64)
    out = np.zeros((len(labels), longest, labels[0].shape[1]), np.int64)
    for i, label in enumerate(labels):
        out[i, : len(label)] = label
    return out
