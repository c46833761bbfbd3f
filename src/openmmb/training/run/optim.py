"""The optimiser, and one update."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from openmmb.distributed import all_reduce_sum, full_tensor, world_size
from openmmb.training.run.config import OptimConfig
from openmmb.training.run.steps import AllAtOnce, Group, OneByOne, Steps

B = TypeVar("B")

LossFn = Callable[[B], tuple[Tensor, int]]
"""Batch -> summed loss, a scalar, and the number of tokens that it sums over."""


def build_optimizer(model: nn.Module, config: OptimConfig) -> Steps:
    """Optimise the weights that learn; weight decay acts on matrices, not on norms and biases.

    Weights that are not in fp32 are updated in fp32 all the same, and PyTorch's Adafactor, which
    cannot step shards of weights, sees them whole.
    """
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    groups: list[Group] = [
        {"params": [w for w in trainable if w.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [w for w in trainable if w.ndim < 2], "weight_decay": 0.0},
    ]
    build = partial(torch_optimizer, config)
    narrow = any(weight.dtype != torch.float32 for weight in trainable)
    gather = config.name == "adafactor" and world_size() > 1
    if narrow or gather:
        return OneByOne(build, groups, gather=gather)
    return AllAtOnce(build, groups)


def torch_optimizer(config: OptimConfig, groups: list[Group]) -> torch.optim.Optimizer:
    """Return PyTorch's optimiser of these weights."""
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
        loss: Summed over the tokens of all processes.
        tokens: How many there were.
        norm: Norm of the gradient of the mean loss, before it was scaled down.
    """

    loss: float
    tokens: int
    norm: float

    @property
    def skipped(self) -> bool:
        """Whether loss or gradient were not finite, so that nothing was changed."""
        return not (math.isfinite(self.loss) and math.isfinite(self.norm))


def train_step(
    batches: Iterable[B],
    loss_fn: LossFn[B],
    optimizer: Steps,
    *,
    max_grad_norm: float,
    loss_scale: float = 1.0,
) -> Update:
    """Make one update from the batches of all processes together, as if they were one.

    Where loss or gradient are not finite, weights and optimiser stay as they are.

    Args:
        batches: Those of this process.
        loss_fn: Computes the loss of one of them.
        optimizer: Holds the weights that learn.
        max_grad_norm: A gradient with a larger norm is scaled down to it.
        loss_scale: Keeps small gradients in fp16 from vanishing; changes no update.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for weight in weights:
        weight.grad = None
    total, count = torch.zeros((), dtype=torch.float64, device=weights[0].device), 0
    for batch in batches:
        loss, tokens = loss_fn(batch)
        (loss * loss_scale).backward()  # type: ignore[no-untyped-call]
        total, count = total + loss.detach(), count + tokens
    loss_sum, count_sum = all_reduce_sum([total.item(), count])
    grads = [weight.grad for weight in weights if weight.grad is not None]
    # The processes' gradients have been reduced to their mean, not to their sum.
    factor = world_size() / (loss_scale * count_sum)
    norms = torch.stack(torch._foreach_norm(grads, 2.0, torch.float32))
    norm = full_tensor(torch.linalg.vector_norm(norms)).item() * factor
    update = Update(loss=loss_sum, tokens=int(count_sum), norm=norm)
    if not update.skipped:
        factor *= min(1.0, max_grad_norm / (norm + 1e-6))  # the constant is that of PyTorch
        optimizer.step(factor)
    return update
