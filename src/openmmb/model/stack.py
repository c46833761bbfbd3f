"""Layers one after the other, and the choice between memory and time in their training."""

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Stack(nn.ModuleList):
    """Layers, each over what the last one gave.

    With ``recompute`` a training step keeps what goes into a layer and computes the layer once
    more for its gradient, with the same noise; otherwise it keeps all that a layer computes.
    """

    recompute = False

    def run(self, x: Tensor, *rest: Tensor) -> Tensor:
        """(B, L, D), and what every layer gets beside it -> (B, L, D)."""
        for layer in self:
            if self.recompute and self.training and x.requires_grad:
                x = checkpoint(layer, x, *rest, use_reentrant=False)
            else:
                x = layer(x, *rest)
        return x
