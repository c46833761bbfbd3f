"""In what precision a run computes, and what that asks of its loss and of its optimiser."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from openmmb.checkpoint import DTYPES, Precision
from openmmb.config import config
from openmmb.distributed import full_tensor, local_share, to_local

LOWEST_SCALE = 1e-4
"""Of a loss; below it ParlAI gives up."""
CLEAN_UPDATES = 2000
"""Updates without an overflow after which a loss is scaled up again, as in ParlAI."""


@config
class LossScale:
    """What a loss is multiplied by, so that its gradients are numbers of fp16.

    The loss is a sum over tokens, a thousand times the mean that others scale by 2**17.
    """

    value: float = 128.0
    """The factor; its inverse goes to the gradients."""
    clean: int = 0
    """Updates since it last changed."""

    def after(self, *, overflow: bool) -> "LossScale":
        """Return the scale of the next update: half if a gradient was not finite."""
        if overflow:
            return LossScale(value=self.value / 2)
        if self.clean + 1 == CLEAN_UPDATES:
            return LossScale(value=self.value * 2)
        return replace(self, clean=self.clean + 1)

    @property
    def may_fall(self) -> bool:
        """Say whether an overflow may still be the scale's fault."""
        return self.value > LOWEST_SCALE


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which products are computed in ``precision``."""
    return torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32")


class WideSteps(torch.optim.Optimizer):
    """Steps in fp32, one weight at a time; the moments are fp32 too.

    For weights that are kept in fewer bits: each is widened, stepped by the optimiser ``inner``,
    and narrowed: fp16 to the nearest number, as ParlAI's ``mem_efficient`` does, bf16 by chance
    (``round_by_chance``). And for an optimiser that cannot step a share of a weight: each is
    gathered, and every process steps all of it.

    Args:
        inner: Made for the same weights.
        gather: Whether it must see them whole.

    Attributes:
        factor: What gradients are multiplied by once they are fp32: the smallest would be zero
            if that were done before.
    """

    def __init__(self, inner: torch.optim.Optimizer, *, gather: bool) -> None:
        super().__init__(inner.param_groups, {})
        self._inner = inner
        self._gather = gather
        self.factor = 1.0

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Make one update.

        Raises:
            ValueError: There is a ``closure``.
        """
        if closure is not None:
            raise ValueError("an update needs no closure")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step_one(weight, weight.grad, group)

    def _step_one(self, weight: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        all_of = full_tensor if self._gather else _as_it_is
        wide = all_of(weight.detach()).float()
        wide.grad = all_of(grad).float() * self.factor
        self.state[weight] = {key: all_of(value) for key, value in self.state[weight].items()}
        self._inner.param_groups = [{**group, "params": [wide]}]
        self._inner.state = defaultdict(dict, {wide: self.state[weight]})
        self._inner.step()
        share = local_share(wide, weight) if self._gather else to_local(wide)
        rounded = round_by_chance(share) if weight.dtype == torch.bfloat16 else share
        to_local(weight.detach()).copy_(rounded)


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def round_by_chance(wide: Tensor) -> Tensor:
    """Round float32 to bf16, up or down by a chance that makes the mean exact.

    bf16 keeps 8 binary digits: to the nearest, a weight would not move at all by less than a
    256th of itself, and most updates are smaller.
    """
    bits = wide.view(torch.int32)
    chance = torch.randint_like(bits, 1 << 16)  # the 16 bits that bf16 does not have
    return ((bits + chance) & -(1 << 16)).view(torch.float32).bfloat16()
