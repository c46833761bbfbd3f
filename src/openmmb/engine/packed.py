"""Linear layers made ready for inference: the one place where another kind of product comes in.

Sizes: N outputs, K inputs.
"""

from typing import Final, Literal

import torch
from torch import Tensor, nn

from openmmb.engine.panels import PanelLinear, huge_pages, panels_are_quickest, size_of
from openmmb.model.layers import DecoderLayer, FeedForward
from openmmb.model.network import TrainableNetwork

ROWS = 10
"""Rows that the layout is chosen for: the beams of one reply. With more rows it is as quick as an
unpacked weight, or quicker."""

Activation = Literal["none", "gelu", "relu"]
_ALGORITHM: Final[dict[Activation, str]] = {"none": "", "gelu": "none", "relu": ""}
"""What oneDNN is to approximate an activation by; ``none``: it computes GELU with erf."""


class PackedLinear(nn.Module):
    """A linear layer whose weight lies as oneDNN's kernels read it, with what follows it.

    A plain product lays the weight out anew at every call, which for the few rows of a search
    takes longer than the product itself. The result is that of ``nn.Linear`` but for the order of
    its sums. There is no gradient.

    Args:
        weight: (N, K), on the CPU.
        bias: (N,), or None.
        activation: Applied to the outputs while they are in the cache.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None = None, activation: Activation = "none"
    ) -> None:
        super().__init__()
        self.activation = activation
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
        self.register_buffer("weight", packed, persistent=False)
        self.register_buffer("bias", None if bias is None else bias.detach(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N)."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, self.activation, [], _ALGORITHM[self.activation]
        )
        return product


def can_pack(model: TrainableNetwork) -> bool:
    """Whether there are such kernels here, for where the weights are and how precise they are."""
    weight = model.embeddings.weight
    packable = weight.dtype in (torch.float32, torch.bfloat16) and weight.device.type == "cpu"
    return packable and torch._C._has_mkldnn


def pack(model: TrainableNetwork) -> None:
    """Pack every linear layer of ``model`` for inference, where that can be done.

    Afterwards the model can neither learn nor be saved, copied or moved. Weights are packed one
    by one, so memory never holds them twice.
    """
    if not can_pack(model):
        return
    if model.dtype == torch.float32 and panels_are_quickest():
        _pack_step(model)
    # Not the layers themselves, or this list would keep all their weights until the end.
    owners = [module for module in model.modules() if not isinstance(module, nn.Linear)]
    for module in owners:
        if isinstance(module, FeedForward) and isinstance(module.widen, nn.Linear):
            kind: Activation = "gelu" if isinstance(module.activation, nn.GELU) else "relu"
            widen = PackedLinear(module.widen.weight, module.widen.bias, kind)
            setattr(module, "widen", widen)  # noqa: B010  it is annotated as a plain layer
            module.activation = nn.Identity()
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, PackedLinear(child.weight, child.bias))


def _pack_step(model: TrainableNetwork) -> None:
    """Put into panels what a step of a search runs, with one row a beam."""
    owners: list[tuple[nn.Module, str]] = []
    for layer in model.modules():
        if not isinstance(layer, DecoderLayer):
            continue
        owners += [(layer.attention, "qkv"), (layer.attention, "out")]
        owners += [(layer.cross, "q"), (layer.cross, "out")]
        owners += [(layer.ffn, "widen"), (layer.ffn, "narrow")]
    sizes = [size_of(getattr(owner, name).weight) for owner, name in owners]
    places = torch.split(huge_pages(sum(sizes)), sizes)
    for (owner, name), place in zip(owners, places, strict=True):
        linear = getattr(owner, name)
        setattr(owner, name, PanelLinear(linear.weight, linear.bias, place))
