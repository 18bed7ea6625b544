"""Held-out metrics of a decoder with 95 % intervals, with and without the adapter. Knows no trainer and no recipe."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from peft import PeftModel

from finetune.examples import IGNORED, Example
from finetune.intervals import ratio_interval
from finetune.kinds import Measured

MOST_ROWS = 512
"""More held-out rows than this are not measured: the interval is narrow enough, and it takes time."""


@dataclass(frozen=True)
class RowLoss:
    """Sums over the learned tokens of one row."""

    nats: float
    n_correct: int
    n_tokens: int


def heldout_metrics(model: PeftModel, examples: Sequence[Example], batch_size: int) -> dict[str, Measured]:
    """Loss per learned token and the share guessed right, with the adapter; the loss without it; how many rows it betters."""
    rows = examples[:MOST_ROWS]
    tuned = row_losses(model, rows, batch_size)
    with model.disable_adapter():
        bare = row_losses(model, rows, batch_size)
    tokens = [row.n_tokens for row in tuned]
    return {
        "heldout_loss": ratio_interval([row.nats for row in tuned], tokens),
        "heldout_loss_base": ratio_interval([row.nats for row in bare], tokens),
        "heldout_token_accuracy": ratio_interval([row.n_correct for row in tuned], tokens),
        "heldout_rows_better_than_base": ratio_interval(
            [float(a.nats < b.nats) for a, b in zip(tuned, bare, strict=True)], [1] * len(rows)
        ),
    }


@torch.no_grad()
def row_losses(model: torch.nn.Module, examples: Sequence[Example], batch_size: int) -> list[RowLoss]:
    """The loss of each row on its own, in the order given."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].input_ids))
    found: dict[int, RowLoss] = {}
    for start in range(0, len(order), batch_size):
        picked = order[start : start + batch_size]
        found |= zip(picked, _batch_losses(model, [examples[i] for i in picked]), strict=True)
    return [found[i] for i in range(len(examples))]


def _batch_losses(model: torch.nn.Module, batch: Sequence[Example]) -> list[RowLoss]:
    device = next(model.parameters()).device
    longest = max(len(example.input_ids) for example in batch)
    ids, mask, labels = (np.full((len(batch), longest), fill) for fill in (0, 0, IGNORED))
    for i, example in enumerate(batch):
        n = len(example.input_ids)
        ids[i, :n], mask[i, :n], labels[i, :n] = example.input_ids, 1, example.labels
    tensors = [torch.as_tensor(array, device=device) for array in (ids, mask, labels)]
    logits = model(input_ids=tensors[0], attention_mask=tensors[1]).logits[:, :-1].float()
    wanted = tensors[2][:, 1:]
    is_learned = wanted != IGNORED
    nats = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="none"
    )
    is_right = (logits.argmax(-1) == wanted) & is_learned
    return [
        RowLoss(float(loss), int(right), int(n))
        for loss, right, n in zip(nats.view_as(wanted).sum(1), is_right.sum(1), is_learned.sum(1), strict=True)
    ]
