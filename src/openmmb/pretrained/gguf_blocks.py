"""Weights as GGUF files store them, in blocks of a few bits a weight, turned into float32.

All blocks of a tensor are turned at once; the numbers are those of llama.cpp, bit by bit.

Sizes: B blocks.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor


class Quantisation(NamedTuple):
    """A way of storing weights."""

    name: str
    """What llama.cpp calls it."""
    values: int
    """Weights of a block."""
    size: int
    """Bytes of a block."""
    read: Callable[[Tensor], Tensor]
    """Bytes (B, size) -> numbers (B, values)."""


def _read_bf16(blocks: Tensor) -> Tensor:
    return blocks.view(torch.bfloat16).float()


def _read_f16(blocks: Tensor) -> Tensor:
    return blocks.view(torch.float16).float()


def _read_f32(blocks: Tensor) -> Tensor:
    return blocks.view(torch.float32)


def _read_q4_0(blocks: Tensor) -> Tensor:
    return (_halves(blocks[:, 2:]) - 8.0).mul_(_scales(blocks[:, :2]))


def _read_q4_1(blocks: Tensor) -> Tensor:
    scales = _scales(blocks[:, :4])
    return _halves(blocks[:, 4:]).mul_(scales[:, :1]).add_(scales[:, 1:])


def _read_q8_0(blocks: Tensor) -> Tensor:
    return blocks[:, 2:].view(torch.int8).float().mul_(_scales(blocks[:, :2]))


def _scales(data: Tensor) -> Tensor:
    return data.contiguous().view(torch.float16).float()


def _halves(data: Tensor) -> Tensor:
    """Return the lower four bits of each byte of a block, then the upper four."""
    return torch.cat((data & 15, data >> 4), dim=1).float()


QUANTISATIONS: Final = {
    0: Quantisation("F32", 1, 4, _read_f32),
    1: Quantisation("F16", 1, 2, _read_f16),
    30: Quantisation("BF16", 1, 2, _read_bf16),
    8: Quantisation("Q8_0", 32, 34, _read_q8_0),
    2: Quantisation("Q4_0", 32, 18, _read_q4_0),
    3: Quantisation("Q4_1", 32, 20, _read_q4_1),
}
"""By their numbers in a file, the ways that can be read."""
OTHERS: Final = {
    6: "Q5_0",
    7: "Q5_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
}
"""What llama.cpp calls common ones that cannot."""


def name_quantisation(number: int) -> str:
    """Return what a way of storing weights is called."""
    known = QUANTISATIONS.get(number)
    return known.name if known else OTHERS.get(number, f"type {number}")
