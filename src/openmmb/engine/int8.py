"""The int8 engine: weights of eight bits, multiplied by activations of eight bits.

A weight has one scale an output. Activations are rounded when they come, with one scale a row: a
reply never depends on what stands beside it in a batch, and an outlier costs only its own row. In
decoder-only networks, whose outliers would cost too much, an activation takes two bytes. Products
and their sums are exact, in oneDNN's kernels of unsigned by signed bytes.

Sizes: R rows, N outputs, K inputs.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from openmmb.checkpoint import Checkpoint, SavedCheckpoint
from openmmb.engine.assemble import open_filled
from openmmb.engine.filled import FilledLinear
from openmmb.engine.plain import NetworkEngine
from openmmb.errors import ConfigError
from openmmb.model.causal_config import CausalConfig

MOST: Final = 127.0
"""Largest rounded number."""
ZERO: Final = 128
"""What stands for zero in an unsigned byte."""
SMALLEST: Final = 1e-30
"""Least maximum of a row; the scale of a row of zeros must be a number."""
FEATURES: Final = ("avx512_vnni", "avx_vnni", "amx_int8")
"""What makes a processor multiply bytes exactly; without, kernels saturate, or take very long."""


class Int8Linear(FilledLinear):
    """A linear layer in eight bits; what comes and what goes is float32."""

    TENSORS = ("weight", "bias", "scale", "zeros")

    scale: Tensor
    zeros: Tensor

    @torch.no_grad()
    def fill(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Take over a weight (N, K) in float32 on the CPU, and a bias (N,)."""
        scale = weight.abs().amax(1).clamp_min_(SMALLEST).div_(MOST)
        rounded = weight.div(scale[:, None]).round_().to(torch.int8)
        self.weight = torch.ops.onednn.qlinear_prepack(rounded, None)
        self.scale = scale
        self.zeros = torch.zeros(len(scale), dtype=torch.int64)
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N), both in float32."""
        rows = x.reshape(-1, self.num_inputs)
        most = rows.abs().amax(-1, keepdim=True).clamp_min_(SMALLEST)
        product = self.multiply(rows.mul(MOST / most))
        row_scale = most.div_(MOST)
        if self.bias is None:
            product.mul_(row_scale)
        else:
            product = torch.addcmul(self.bias, product, row_scale)
        match self.activation:
            case "gelu":
                product = F.gelu(product)
            case "relu":
                product.relu_()
        return product.view(*x.shape[:-1], self.num_outputs)

    def multiply(self, rows: Tensor) -> Tensor:
        """Multiply rows of numbers from -127 to 127, rounded: (R, K) -> (R, N)."""
        # Conversion cuts off: half above zero, it rounds.
        return self._multiply_bytes(rows.add_(ZERO + 0.5).to(torch.uint8))

    def _multiply_bytes(self, rows: Tensor) -> Tensor:
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            rows, 1.0, ZERO, self.weight, self.scale, self.zeros,
            None, 1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return product


class FineInt8Linear(Int8Linear):
    """A linear layer of eight-bit weights, whose activations are two bytes each.

    The second byte is what the first leaves over, as one more row. The few rows of a search wait
    for the weights anyway, so a second set of rows takes a sixth longer.
    """

    def multiply(self, rows: Tensor) -> Tensor:
        """Multiply rows of numbers from -127 to 127: (R, K) -> (R, N)."""
        whole = rows.round()
        rest = rows.sub_(whole).mul_(2 * MOST)
        both = torch.cat([whole, rest]).add_(ZERO + 0.5).to(torch.uint8)
        high, low = self._multiply_bytes(both).chunk(2)
        return high.add_(low.div_(2 * MOST))


def can_multiply_bytes(device: torch.device) -> bool:
    """Whether there are such kernels here, and a processor that runs them exactly."""
    has_kernels = torch._C._has_mkldnn and hasattr(torch.ops.onednn, "qlinear_pointwise")
    return device.type == "cpu" and has_kernels and _has_vnni()


def _has_vnni() -> bool:
    if hasattr(torch.cpu, "get_capabilities"):
        cpu = torch.cpu.get_capabilities()
        return any(cpu.get(feature) for feature in FEATURES)
    return bool(torch.cpu._is_vnni_supported())  # PyTorch 2.11, which knows only AVX-512's


def open_int8(checkpoint: Checkpoint | SavedCheckpoint, device: torch.device) -> NetworkEngine:
    """Open an engine that computes its products in eight bits, on a CPU with VNNI.

    Raises:
        ConfigError: There is no such CPU.
    """
    if not can_multiply_bytes(device):
        raise ConfigError(
            f"engine: int8 is for a CPU that multiplies bytes (VNNI), and {device} is none here; "
            "use fp32"
        )
    # Single numbers of a decoder-only network's activations are a thousand times the others.
    fine = isinstance(checkpoint.config.model, CausalConfig)
    with checkpoint.weights() as weights:
        return open_filled(checkpoint, weights, FineInt8Linear if fine else Int8Linear)
