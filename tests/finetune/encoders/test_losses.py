import pytest
import torch

from finetune.encoders.losses import LabelLoss, balancing_weights, list_loss, span_loss
from finetune.encoders.spans import OUTSIDE, POSSIBLE, RIGHT

pytestmark = pytest.mark.slow  # imports torch


def test_with_one_right_token_the_span_loss_is_cross_entropy_over_what_is_possible():
    logits = torch.randn(2, 6, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[POSSIBLE, OUTSIDE, OUTSIDE, POSSIBLE, POSSIBLE, OUTSIDE]] * 2)[:, :, None].repeat(1, 1, 2)
    labels[0, 3], labels[1, 0] = RIGHT, RIGHT
    wanted = torch.nn.functional.cross_entropy(logits[:, [0, 3, 4]], torch.tensor([[1, 1], [0, 0]]), reduction="mean")
    assert span_loss(logits, labels).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_a_weak_span_counts_the_probability_of_all_its_tokens():
    logits = torch.zeros(1, 4, 2)
    labels = torch.tensor([[[POSSIBLE] * 2, [RIGHT] * 2, [RIGHT] * 2, [POSSIBLE] * 2]])
    assert span_loss(logits, labels).item() == pytest.approx(-torch.log(torch.tensor(0.5)).item())


def test_padding_and_the_question_get_no_gradient():
    logits = torch.randn(1, 5, 2, requires_grad=True)
    labels = torch.tensor([[POSSIBLE, OUTSIDE, RIGHT, POSSIBLE, OUTSIDE]])[:, :, None].repeat(1, 1, 2)
    span_loss(logits, labels).backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[0, [1, 4]] == 0).all()
    assert (logits.grad[0, [0, 2, 3]] != 0).all()


def test_the_list_loss_compares_within_each_list():
    logits = torch.tensor([[2.0], [1.0], [0.0], [5.0], [5.0], [5.0]])
    wanted = -(torch.log_softmax(torch.tensor([2.0, 1.0, 0.0]), 0)[0] + torch.log(torch.tensor(1 / 3))) / 2
    assert list_loss(logits, torch.zeros(2, dtype=torch.long)).item() == pytest.approx(wanted.item())


def test_balanced_labels_weigh_the_same_whatever_their_number():
    weights = balancing_weights([30, 10])
    assert weights == pytest.approx([40 / 60, 2.0])
    assert 30 * weights[0] == pytest.approx(10 * weights[1])
    loss = LabelLoss(weights)
    assert loss(torch.zeros(2, 2), torch.tensor([0, 1])).item() == pytest.approx(torch.log(torch.tensor(2.0)).item())
