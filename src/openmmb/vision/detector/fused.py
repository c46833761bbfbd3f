"""Layers as oneDNN has them on a CPU: with what follows a product inside it.

A ReLU or a sum after a convolution passes over the whole grid once more. PyTorch's own product of
matrices goes through MKL, which on other makers' processors takes up to four times as long.
"""

import torch
from torch import Tensor, nn


def can_fuse(device: torch.device) -> bool:
    """Whether there are such kernels here."""
    return device.type == "cpu" and torch._C._has_mkldnn


class FusedConv(nn.Module):
    """A convolution and a ReLU, for inference.

    Args:
        conv: What it does, in its precision.
        relu: Whether the ReLU follows in ``forward``.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv2d, *, relu: bool = False) -> None:
        super().__init__()
        padding, stride, dilation = ([*map(int, size)] for size in _sizes(conv))
        self._sizes = (padding, stride, dilation, conv.groups)
        self._activation = "relu" if relu else "none"
        # As it is: laid out for a grid of another size it would be laid out twice at every call.
        self.register_buffer("weight", conv.weight.detach(), persistent=False)
        bias = None if conv.bias is None else conv.bias.detach()
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, grid: Tensor) -> Tensor:
        """(1, inputs, h, w) -> (1, outputs, h / stride, w / stride)."""
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            grid, self.weight, self.bias, *self._sizes, self._activation, [], ""
        )
        return result

    def add_to(self, other: Tensor, grid: Tensor) -> Tensor:
        """Add the convolution to ``other``, and overwrite it with the ReLU of the sum."""
        result: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            other, grid, self.weight, self.bias, *self._sizes, "add", 1.0, "relu", [], ""
        )
        return result


class FusedLinear(nn.Module):
    """A linear layer in float32 and a ReLU, for inference.

    Args:
        weight: (N, K).
        bias: (N,), or None.
        rows: How many rows it is laid out for; others are as right.
        relu: Whether the ReLU follows.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self, weight: Tensor, bias: Tensor | None, *, rows: int, relu: bool = False
    ) -> None:
        super().__init__()
        self._activation = "relu" if relu else "none"
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), rows)
        self.register_buffer("weight", packed, persistent=False)
        self.register_buffer("bias", None if bias is None else bias.detach(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, K) -> (rows, N)."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, self._activation, [], ""
        )
        return result


def product(matrix: Tensor, columns: Tensor) -> Tensor:
    """(N, K) by (K, M), in float32, neither of them laid out before -> (N, M)."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(
        matrix, columns.contiguous().t(), None, "none", [], ""
    )
    return result


def _sizes(conv: nn.Conv2d) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    if isinstance(conv.padding, str):
        raise ValueError(f"expected a padding in cells, got {conv.padding!r}")
    return conv.padding, conv.stride, conv.dilation
