"""The optimiser, and one update."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from openmmb.distributed import all_reduce_sum, full_tensor, world_size
from openmmb.training.replies.config import OptimConfig
from openmmb.training.run.precision import WideSteps

B = TypeVar("B")

LossFn = Callable[[B], tuple[Tensor, int]]
"""Batch -> summed loss, a scalar, and the number of tokens it is summed over."""


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Optimise what is trainable; weight decay acts on matrices, not on norms and biases.

    Weights that are not in fp32 are updated in fp32 all the same, and PyTorch's Adafactor, which
    cannot work on shares of weights, sees them whole (``WideSteps``).
    """
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in trained if w.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [w for w in trained if w.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = _build(groups, config)
    narrow = any(weight.dtype != torch.float32 for weight in trained)
    gather = config.name == "adafactor" and world_size() > 1
    return WideSteps(optimizer, gather=gather) if narrow or gather else optimizer


def _build(groups: list[dict[str, object]], config: OptimConfig) -> torch.optim.Optimizer:
    if config.name == "adafactor":
        return torch.optim.Adafactor(groups, lr=config.lr, eps=(config.eps, 1e-3))
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
        loss: Summed over the tokens, of all processes.
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
    batches: Iterable[B],
    loss_fn: LossFn[B],
    optimizer: torch.optim.Optimizer,
    *,
    max_grad_norm: float,
    loss_scale: float = 1.0,
) -> Update:
    """Make one update from the batches of all processes together, as if they were one.

    Where loss or gradient are not finite, weights and optimiser stay as they are.

    Args:
        batches: This process's.
        loss_fn: Of one of them.
        optimizer: Of the weights that the loss depends on.
        max_grad_norm: The gradient is scaled down to it.
        loss_scale: Keeps small gradients in fp16 from vanishing; changes no update.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    optimizer.zero_grad(set_to_none=True)
    total, count = torch.zeros((), dtype=torch.float64, device=weights[0].device), 0
    for batch in batches:
        loss, tokens = loss_fn(batch)
        (loss * loss_scale).backward()  # type: ignore[no-untyped-call]
        total, count = total + loss.detach(), count + tokens
    loss_sum, count_sum = all_reduce_sum([total.item(), count])
    grads = [weight.grad for weight in weights if weight.grad is not None]
    # A gradient that the processes have added up comes as their mean.
    factor = world_size() / (loss_scale * count_sum)
    norms = torch.stack(torch._foreach_norm(grads, 2.0, torch.float32))
    norm = full_tensor(torch.linalg.vector_norm(norms)).item() * factor
    update = Update(loss=loss_sum, tokens=int(count_sum), norm=norm)
    if not update.skipped:
        factor *= min(1.0, max_grad_norm / (norm + 1e-6))  # the constant is that of PyTorch
        if isinstance(optimizer, WideSteps):
            optimizer.factor = factor
        else:
            torch._foreach_mul_(grads, factor)
        optimizer.step()
    return update
