"""The optimiser, and one update."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Update:
    """What one update did.

    Attributes:
        loss: Summed over the tokens.
        tokens: How many.
        norm: Of the gradient of their mean, before it was scaled down.
    """

    loss: float
    tokens: int
    norm: float

    @property
    def skipped(self) -> bool:
        """Loss or gradient were not finite, so nothing was changed."""
        return not (math.isfinite(self.loss) and math.isfinite(self.norm))


def train_step(
    batches: Iterable[Batch],
    loss_fn: LossFn,
    optimizer: torch.optim.Optimizer,
    *,
    max_grad_norm: float,
) -> Update:
    """Make one update from the batches together, as if they were one.

    Where loss or gradient are not finite, weights and optimiser stay as they are.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    optimizer.zero_grad(set_to_none=True)
    total, count = 0.0, 0
    for batch in batches:
        loss, tokens = loss_fn(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        total, count = total + loss.item(), count + tokens
    grads = [weight.grad for weight in weights if weight.grad is not None]
    torch._foreach_mul_(grads, 1 / count)
    norm = nn.utils.clip_grad_norm_(weights, max_grad_norm).item()
    update = Update(loss=total, tokens=count, norm=norm)
    if not update.skipped:
        optimizer.step()
    return update
