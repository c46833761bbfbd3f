"""The bf16 engine: weights of sixteen bits with the range of float32, for CPUs that multiply them.

Products take activations rounded to bfloat16 and sum in float32. All between them - what layers
add up, norms, attention - is in float32, and so are the logits: their weight is kept in float16,
finer than bfloat16, or in float32 where there is no kernel for that.

Sizes: N outputs, K inputs.
"""

from typing import Final

import torch
from torch import Tensor

from openmmb.checkpoint import Checkpoint, SavedCheckpoint
from openmmb.engine.assemble import open_filled
from openmmb.engine.filled import FilledLinear
from openmmb.engine.halves import HalfLinear, can_multiply_halves
from openmmb.engine.packed import ALGORITHM, ROWS, PackedLinear, can_pack
from openmmb.engine.plain import NetworkEngine
from openmmb.errors import ConfigError

FEATURES: Final = ("avx512_bf16", "amx_bf16")
"""What makes a processor multiply bfloat16 itself; emulated, it is slower than float32."""


class Bf16Linear(FilledLinear):
    """A linear layer in bfloat16, laid out as oneDNN reads it; in and out is float32."""

    @torch.no_grad()
    def fill(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Take over a weight (N, K) on the CPU, and a bias (N,), which stays in float32."""
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.bfloat16(), ROWS)
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N), both in float32."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            x.bfloat16(), self.weight, self.bias, self.activation, [], ALGORITHM[self.activation]
        )
        return product.float()


def can_multiply_bf16(device: torch.device) -> bool:
    """Whether there are such kernels here, and a processor that needs no emulation for them."""
    supported = can_pack(device) and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return supported and _has_instructions()


def _has_instructions() -> bool:
    if not hasattr(torch.cpu, "get_capabilities"):  # PyTorch 2.11
        return bool(torch.cpu._is_avx512_bf16_supported())
    cpu = torch.cpu.get_capabilities()
    return cpu.get("architecture") != "x86_64" or any(cpu.get(name) for name in FEATURES)


def open_bf16(checkpoint: Checkpoint | SavedCheckpoint, device: torch.device) -> NetworkEngine:
    """Open an engine that computes its products in bfloat16, on a CPU.

    Raises:
        ConfigError: There is no such CPU.
    """
    if not can_multiply_bf16(device):
        raise ConfigError(
            f"engine: bf16 is for a CPU that multiplies bfloat16, and {device} is none here; "
            "use fp32"
        )
    head = HalfLinear if can_multiply_halves() else PackedLinear
    with checkpoint.weights() as weights:
        return open_filled(checkpoint, weights, Bf16Linear, head)
