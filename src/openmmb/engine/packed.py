"""The fp32 engine: every weight laid out once as the CPU at hand reads it fastest.

Sizes: N outputs, K inputs.
"""

from collections.abc import Mapping
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from openmmb.checkpoint import Checkpoint, SavedCheckpoint
from openmmb.engine.assemble import open_filled
from openmmb.engine.filled import FilledLinear, LayerFactory
from openmmb.engine.halves import HalfLinear, can_multiply_halves
from openmmb.engine.layouts import quickest
from openmmb.engine.panels import PanelLinear
from openmmb.engine.plain import NetworkEngine, open_plain
from openmmb.model.linear import Activation
from openmmb.tensors import Weight

ROWS = 10
"""Rows that the layout is chosen for: the beams of one reply. With more rows it is as quick as an
unpacked weight, or quicker."""

ALGORITHM: Final[dict[Activation, str]] = {"none": "", "gelu": "none", "relu": ""}
"""What oneDNN is to approximate an activation by; ``none``: it computes GELU with erf."""


class PackedLinear(FilledLinear):
    """A linear layer whose weight lies as oneDNN's kernels read it, with what follows it.

    A plain product lays the weight out anew at every call, which for the few rows of a search
    takes longer than the product itself. The result is that of ``Linear`` but for the order of
    its sums.
    """

    def fill(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Take over a weight (N, K) on the CPU, and a bias (N,)."""
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N)."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, self.activation, [], ALGORITHM[self.activation]
        )
        return product


class UnpackedLinear(FilledLinear):
    """A linear layer of PyTorch's own, whose weight lies as it is."""

    def fill(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Take over a weight (N, K), and a bias (N,)."""
        self.weight = weight.detach()
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N)."""
        product = F.linear(x, self.weight, self.bias)
        match self.activation:
            case "gelu":
                return F.gelu(product)
            case "relu":
                return product.relu_()
        return product


def can_pack(device: torch.device) -> bool:
    """Whether there are such kernels here, for weights in float32."""
    return device.type == "cpu" and torch._C._has_mkldnn


def open_packed(checkpoint: Checkpoint | SavedCheckpoint, device: torch.device) -> NetworkEngine:
    """Open the fastest engine that computes in float32: packed where that can be, else plain."""
    if not can_pack(device):
        return open_plain(checkpoint, device)
    with checkpoint.weights() as weights:
        if can_multiply_halves() and stores_halves(weights):
            return open_filled(checkpoint, weights, HalfLinear)
        return open_filled(checkpoint, weights, quickest("fp32", LAYOUTS))


def stores_halves(weights: Mapping[str, Weight]) -> bool:
    """Whether all weights are stored in float16."""
    return all(weight.dtype == torch.float16 for weight in weights.values())


def _panels_for_steps(
    inputs: int,
    outputs: int,
    *,
    bias: bool = True,
    activation: Activation = "none",
    stepwise: bool = False,
) -> FilledLinear:
    """Build in panels what a step of a search runs, with one row a beam."""
    kind = PanelLinear if stepwise else PackedLinear
    return kind(inputs, outputs, bias=bias, activation=activation, stepwise=stepwise)


LAYOUTS: Final[dict[str, LayerFactory]] = {
    "packed": PackedLinear,
    "panels": _panels_for_steps,
    "plain": UnpackedLinear,
}
"""How weights in float32 may lie."""
