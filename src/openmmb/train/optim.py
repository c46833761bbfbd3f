"""The optimiser, and one update."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from openmmb.data.batch import Batch
from openmmb.train.config import OptimConfig

LossFn = Callable[[Batch], tuple[Tensor, int]]
"""Batch -> summed loss, a scalar, and the number of tokens it is summed over."""


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Optimise what is trainable; weight decay acts on matrices, not on norms and biases."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in trained if w.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [w for w in trained if w.ndim < 2], "weight_decay": 0.0},
    ]
    kind = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return kind(
        groups,
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
        amsgrad=config.amsgrad,
        fused=True,
    )


def train_step(
    batches: Iterable[Batch],
    loss_fn: LossFn,
    optimizer: torch.optim.Optimizer,
    *,
    max_grad_norm: float,
) -> tuple[float, int, float]:
    """Make one update from the batches together, as if they were one.

    Returns:
        Summed loss, number of tokens, and the gradient's norm before it was scaled down. Where
        that norm is not finite, nothing was updated.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    optimizer.zero_grad(set_to_none=True)
    total, count = 0.0, 0
    for batch in batches:
        loss, tokens = loss_fn(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        total, count = total + loss.item(), count + tokens
    grads = [weight.grad for weight in weights if weight.grad is not None]
    torch._foreach_mul_(grads, 1 / max(1, count))
    norm = float(nn.utils.clip_grad_norm_(weights, max_grad_norm))
    if torch.isfinite(torch.tensor(norm)):
        optimizer.step()
    return total, count, norm
