"""The loss is a sum of cross-entropies in nats."""

import math

import pytest
import torch
from torch import Tensor

from openmmb.model.loss import perplexity, reply_loss, token_loss


def slow(logits: Tensor, targets: Tensor, smoothing: float) -> float:
    total = 0.0
    for row, target in zip(logits.double().tolist(), targets.tolist(), strict=True):
        whole = math.log(sum(math.exp(x) for x in row))
        even = sum(whole - x for x in row) / len(row)
        total += (1 - smoothing) * (whole - row[target]) + smoothing * even
    return total


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_equals_its_plain_twin(smoothing: float) -> None:
    logits, targets = torch.randn(5, 7), torch.tensor([0, 6, 3, 3, 1])
    found = token_loss(logits, targets, label_smoothing=smoothing)
    assert found.item() == pytest.approx(slow(logits, targets, smoothing), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_what_is_banned_might_as_well_not_be_in_the_vocabulary(smoothing: float) -> None:
    logits, targets = torch.randn(5, 7), torch.tensor([1, 6, 3, 3, 1])
    found = token_loss(logits, targets, label_smoothing=smoothing, banned_ids=[0, 2])
    kept = [1, 3, 4, 5, 6]
    shorter = torch.tensor([kept.index(target) for target in targets.tolist()])
    assert found.item() == pytest.approx(slow(logits[:, kept], shorter, smoothing), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_what_is_banned_learns_nothing(smoothing: float) -> None:
    logits = torch.randn(5, 7, requires_grad=True)
    targets = torch.tensor([1, 6, 3, 3, 1])
    token_loss(logits, targets, label_smoothing=smoothing, banned_ids=[0, 2]).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[:, [0, 2]].abs().max() == 0
    assert logits.grad[:, [1, 3, 4, 5, 6]].abs().min() > 0


@pytest.mark.parametrize(
    ("loss", "tokens", "mean"), [(6.0, 3, 2.0), (2.0, 1, 2.0), (0.0, 0, 0.0), (1e9, 1, 700.0)]
)
def test_perplexity_is_e_to_the_mean_loss_of_a_token(loss: float, tokens: int, mean: float) -> None:
    assert perplexity(loss, tokens) == pytest.approx(math.exp(mean))
    assert math.isnan(perplexity(math.nan, tokens))


def test_losses_of_parts_add_up() -> None:
    logits, targets = torch.randn(6, 9), torch.arange(6)
    parts = token_loss(logits[:2], targets[:2]) + token_loss(logits[2:], targets[2:])
    torch.testing.assert_close(parts, token_loss(logits, targets))


def test_half_precision_logits_are_summed_in_full() -> None:
    logits = torch.randn(1000, 3).bfloat16()
    found = token_loss(logits, torch.zeros(1000, dtype=torch.int64))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(slow(logits, torch.zeros(1000, dtype=torch.int64), 0.0))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_replies_are_as_wrong_as_their_tokens_without_the_padding(smoothing: float) -> None:
    hidden, reply = torch.randn(2, 3, 7), torch.tensor([[1, 6, 3], [5, 0, 0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    found, tokens = reply_loss(lambda one: 2 * one, hidden, reply, mask, label_smoothing=smoothing)
    targets = torch.tensor([1, 6, 3, 5])
    expected = token_loss(2 * hidden[mask], targets, label_smoothing=smoothing)
    torch.testing.assert_close(found, expected)
    assert tokens == 4
