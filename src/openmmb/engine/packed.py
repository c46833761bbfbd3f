"""The fp32 engine: every weight laid out once as the kernels of the CPU at hand read it.

Sizes: N outputs, K inputs.
"""

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

from openmmb.checkpoint import Checkpoint, SavedCheckpoint, new_network
from openmmb.engine.panels import PanelLinear, panels_are_quickest, share_memory
from openmmb.engine.plain import NetworkEngine, open_plain
from openmmb.model.linear import Activation
from openmmb.model.network import TrainableNetwork
from openmmb.tensors import Weight

ROWS = 10
"""Rows that the layout is chosen for: the beams of one reply. With more rows it is as quick as an
unpacked weight, or quicker."""

_ALGORITHM: Final[dict[Activation, str]] = {"none": "", "gelu": "none", "relu": ""}
"""What oneDNN is to approximate an activation by; ``none``: it computes GELU with erf."""


class PackedLinear(nn.Module):
    """A linear layer whose weight lies as oneDNN's kernels read it, with what follows it.

    A plain product lays the weight out anew at every call, which for the few rows of a search
    takes longer than the product itself. The result is that of ``Linear`` but for the order of
    its sums. There is no gradient. It computes nothing before it is filled.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        inputs: int,  # noqa: ARG002  the weight knows
        outputs: int,  # noqa: ARG002
        *,
        bias: bool = True,
        activation: Activation = "none",
        stepwise: bool = False,  # noqa: ARG002  the layout is good for many rows too
    ) -> None:
        super().__init__()
        self.has_bias = bias
        self.activation = activation
        self.register_buffer("weight", None, persistent=False)
        self.register_buffer("bias", None, persistent=False)

    def fill(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Take over a weight (N, K) on the CPU, and a bias (N,)."""
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N)."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, self.activation, [], _ALGORITHM[self.activation]
        )
        return product

    def for_rows(self, rows: int) -> Callable[[Tensor], Tensor]:  # noqa: ARG002  as good for any
        """Return the layer for so many rows."""
        return self


Layer = PackedLinear | PanelLinear


def can_pack(device: torch.device) -> bool:
    """Whether there are such kernels here, for weights in float32."""
    return device.type == "cpu" and torch._C._has_mkldnn


def open_packed(checkpoint: Checkpoint | SavedCheckpoint, device: torch.device) -> NetworkEngine:
    """Open the fastest engine that computes in float32: packed where that can be, else plain.

    Weights are read and packed one by one, so memory never holds them twice; the embeddings,
    which are input and output, are kept in both forms.
    """
    if not can_pack(device):
        return open_plain(checkpoint, device)
    factory = _panels_for_steps if panels_are_quickest() else PackedLinear
    with torch.device("meta"):
        network = new_network(checkpoint.config.model, factory)
    inputs = network.embeddings.embedding_dim
    head = factory(inputs, network.vocab_size, bias=False, stepwise=True)
    with checkpoint.weights() as weights:
        _fill(network, head, weights)
    return NetworkEngine(network, checkpoint, head=head)


def _fill(network: TrainableNetwork, head: Layer, weights: Mapping[str, Weight]) -> None:
    """Read and pack the weights, one after the other."""

    def read(name: str) -> Tensor:
        return weights[name].read().to("cpu", torch.float32)

    layers = [(name, m) for name, m in network.named_modules() if isinstance(m, Layer)]
    share_memory([*(layer for _, layer in layers), head])
    for name, layer in layers:
        layer.fill(read(f"{name}.weight"), read(f"{name}.bias") if layer.has_bias else None)
    head.fill(read(network.output_weight))
    network.load_state_dict({name: read(name) for name in network.state_dict()}, assign=True)


def _panels_for_steps(
    inputs: int,
    outputs: int,
    *,
    bias: bool = True,
    activation: Activation = "none",
    stepwise: bool = False,
) -> Layer:
    """Build in panels what a step of a search runs, with one row a beam."""
    kind = PanelLinear if stepwise else PackedLinear
    return kind(inputs, outputs, bias=bias, activation=activation, stepwise=stepwise)
