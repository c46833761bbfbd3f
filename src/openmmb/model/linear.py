"""Linear layers, and the seam at which an engine puts its own in their place.

A network builds its layers with a ``LinearFactory`` that it is given: ``Linear`` for training, or
an engine's, whose layers hold their weights as a processor reads them fastest.
"""

from typing import Literal, Protocol

import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["none", "gelu", "relu"]


class LinearFactory(Protocol):
    """Builds a linear layer, whose weights come later under the usual names."""

    def __call__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        activation: Activation = "none",
        stepwise: bool = False,
    ) -> nn.Module:
        """Build a layer.

        Args:
            inputs: Width of what comes in.
            outputs: Width of what goes out.
            bias: Whether there is one.
            activation: What follows the product, inside the layer.
            stepwise: Whether every step of a search runs it, with one row a beam.
        """
        ...


class Linear(nn.Linear):
    """A linear layer with its activation; its weights are not drawn before ``initialise``."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        activation: Activation = "none",
        stepwise: bool = False,  # noqa: ARG002  all weights lie in the same way
    ) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.activation = activation

    def reset_parameters(self) -> None:
        """Leave the weights as they are: they are loaded, or drawn by ``initialise``."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        x = super().forward(x)
        match self.activation:
            case "gelu":
                return F.gelu(x)
            case "relu":
                return F.relu(x)
        return x


class Embedding(nn.Embedding):
    """A table of vectors, which are not drawn before ``initialise``."""

    def reset_parameters(self) -> None:
        """Leave the vectors as they are."""
