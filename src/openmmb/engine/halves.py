"""A linear layer whose weight stays in float16 and is multiplied in float32.

Sizes: N outputs, K inputs.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from openmmb.engine.filled import FilledLinear


class HalfLinear(FilledLinear):
    """A linear layer of FBGEMM's: half the memory, and the numbers of float32.

    The kernel widens the weights in registers. Where they come from float16, the result is that
    of ``Linear`` but for the order of its sums.
    """

    packed: Any = None

    @torch.no_grad()
    def fill(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Take over a weight (N, K) on the CPU that float16 can hold, and a bias (N,)."""
        bias = None if bias is None else bias.detach()
        self.packed = torch.ops.quantized.linear_prepack_fp16(weight.detach(), bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N), both in float32."""
        product: Tensor = torch.ops.quantized.linear_dynamic_fp16(x, self.packed)
        match self.activation:
            case "gelu":
                return F.gelu(product)
            case "relu":
                return product.relu_()
        return product


def can_multiply_halves() -> bool:
    """Whether this build of PyTorch has the kernel."""
    engines = torch.backends.quantized
    return "fbgemm" in engines.supported_engines and engines.engine in ("fbgemm", "x86")
