"""What each kind of head is trained to lower. Tensors only."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from finetune.encoders.spans import POSSIBLE, RIGHT


def span_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """-log P(start is a right one) and the same for ends, averaged. Logits and labels are [rows, tokens, 2].

    With one right token this is cross-entropy; with a whole sentence of them, the marginal likelihood of the sentence
    (Clark & Gardner 2018, arXiv:1710.10723, section 3.3).
    """
    logits = logits.masked_fill(labels < POSSIBLE, float("-inf"))
    right = logits.masked_fill(labels != RIGHT, float("-inf"))
    return (logits.logsumexp(1) - right.logsumexp(1)).mean()


def list_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the right candidate in each list; logits are [lists * candidates, 1], `labels` the right one's place."""
    return functional.cross_entropy(logits.view(len(labels), -1), labels)


class LabelLoss:
    """Cross-entropy with a weight per label."""

    def __init__(self, weights: Sequence[float]) -> None:
        self._weights = torch.tensor(list(weights))

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits, labels, weight=self._weights.to(logits.device))


def balancing_weights(counts: Sequence[int]) -> list[float]:
    """Weights under which each label counts the same; 1 on average over rows."""
    total = sum(counts)
    return [total / (len(counts) * n) if n else 0.0 for n in counts]
