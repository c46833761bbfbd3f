"""How an optimiser steps: all weights at once, or one by one in fp32.

Both take the factor that gradients are scaled by, since they do it at different moments.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from openmmb.distributed import full_tensor, local_shard, to_local

Group = dict[str, Any]
"""Weights under ``params`` and the settings they share, as in PyTorch."""
State = dict[Tensor, dict[str, Tensor]]
"""What an optimiser remembers of each weight."""
Build = Callable[[list[Group]], torch.optim.Optimizer]


class Steps(Protocol):
    """An optimiser, as the loop uses it.

    Attributes:
        param_groups: As in PyTorch; settings such as ``lr`` may be changed between steps.
        state: What it remembers of each weight; empty before the first step.
    """

    @property
    def param_groups(self) -> list[Group]: ...  # noqa: D102 told above

    @property
    def state(self) -> State: ...  # noqa: D102 told above

    def step(self, factor: float = 1.0) -> None:
        """Update every weight that has a gradient; gradients count ``factor`` times."""
        ...


class AllAtOnce:
    """PyTorch's own step; gradients are scaled in place before it.

    Args:
        build: Makes the optimiser.
        groups: The weights, in groups of the same settings.
    """

    def __init__(self, build: Build, groups: list[Group]) -> None:
        self._optimizer = build(groups)
        self.param_groups: list[Group] = self._optimizer.param_groups
        self.state: State = self._optimizer.state

    def step(self, factor: float = 1.0) -> None:
        """Update every weight that has a gradient."""
        weights = (weight for group in self.param_groups for weight in group["params"])
        grads = [weight.grad for weight in weights if weight.grad is not None]
        if factor != 1.0:
            torch._foreach_mul_(grads, factor)
        self._optimizer.step()


class OneByOne:
    """A step in fp32, one weight after the other; the moments are in fp32 too.

    It serves weights that are kept in fewer bits: each is widened, stepped and narrowed again:
    fp16 to the nearest number, as ParlAI's ``mem_efficient`` does, bf16 by chance
    (``round_by_chance``). And it serves an optimiser that cannot step a shard of a weight: each
    weight is gathered, and every process steps all of it.

    Args:
        build: Makes an optimiser.
        groups: The weights, in groups of the same settings.
        gather: Whether the optimiser must see whole weights.
    """

    def __init__(self, build: Build, groups: list[Group], *, gather: bool) -> None:
        self._build = build
        self._whole = full_tensor if gather else _unchanged
        self.param_groups: list[Group] = build(groups).param_groups
        self.state: State = defaultdict(dict)

    @torch.no_grad()
    def step(self, factor: float = 1.0) -> None:
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step_one(weight, weight.grad, group, factor)

    def _step_one(self, weight: Tensor, grad: Tensor, group: Group, factor: float) -> None:
        wide = self._whole(weight.detach()).float()
        # Scaled only now: in fewer bits the smallest gradients would become zero.
        wide.grad = self._whole(grad).float() * factor
        optimizer = self._build([{**group, "params": [wide]}])
        remembered = {key: self._whole(value) for key, value in self.state[weight].items()}
        optimizer.state[wide] = self.state[weight] = remembered
        optimizer.step()
        shard = to_local(wide) if self._whole is _unchanged else local_shard(wide, weight)
        rounded = round_by_chance(shard) if weight.dtype == torch.bfloat16 else shard
        to_local(weight.detach()).copy_(rounded)


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor


def round_by_chance(wide: Tensor) -> Tensor:
    """Round float32 to bf16, up or down with a probability that makes the mean exact.

    bf16 keeps 8 binary digits: rounded to the nearest, a weight would not move at all by less than
    a 256th of itself, and most updates are smaller.
    """
    bits = wide.view(torch.int32)
    chance = torch.randint_like(bits, 1 << 16)  # the 16 bits that bf16 does not have
    return ((bits + chance) & -(1 << 16)).view(torch.float32).bfloat16()
