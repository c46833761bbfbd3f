"""In what precision a run computes, and what that asks of its loss."""

from dataclasses import replace

import torch

from openmmb.checkpoint import DTYPES, Precision
from openmmb.config import config

LOWEST_SCALE = 1e-4
"""Lowest scale of a loss; below it ParlAI gives up."""
CLEAN_UPDATES = 2000
"""Updates without an overflow after which a loss is scaled up again, as in ParlAI."""


@config
class LossScale:
    """What a loss is multiplied by, so that fp16 can hold its gradients.

    The loss is a sum over tokens, a thousand times the mean that others scale by 2**17.
    """

    value: float = 128.0
    """The factor; gradients are multiplied by its inverse."""
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
        """Whether an overflow may still come from too high a scale."""
        return self.value > LOWEST_SCALE


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which products are computed in ``precision``."""
    return torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32")
