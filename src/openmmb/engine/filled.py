"""What the linear layers of engines have in common: they get their weight after they are built.

Sizes: N outputs, K inputs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Protocol

from torch import Tensor, nn

from openmmb.model.linear import Activation


class FilledLinear(nn.Module, ABC):
    """A linear layer of an engine; it computes nothing before it is filled, and has no gradient.

    Attributes:
        weight: As its kernel reads it.
        bias: (N,) float32, or None.
    """

    TENSORS: ClassVar[tuple[str, ...]] = ("weight", "bias")
    """Names of what filling gives."""

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        activation: Activation = "none",
        stepwise: bool = False,  # noqa: ARG002  few layouts are for few rows only
    ) -> None:
        super().__init__()
        self.num_inputs, self.num_outputs = inputs, outputs
        self.has_bias = bias
        self.activation = activation
        for name in self.TENSORS:
            self.register_buffer(name, None, persistent=False)

    @abstractmethod
    def fill(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Take over a weight (N, K) in float32 on the CPU, and a bias (N,)."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N), both in float32."""

    def for_rows(self, rows: int) -> Callable[[Tensor], Tensor]:  # noqa: ARG002  as good for any
        """Return the layer for so many rows."""
        return self


class LayerFactory(Protocol):
    """Builds a layer of an engine; a ``LinearFactory``."""

    def __call__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        activation: Activation = "none",
        stepwise: bool = False,
    ) -> FilledLinear:
        """Build a layer, as ``LinearFactory`` does."""
        ...
