"""A linear layer for the few rows of a search, its weight in panels that fit a CPU's registers.

Sizes: N outputs, K inputs, R rows, P panels.
"""

import math
import mmap
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmmb.engine.filled import FilledLinear
from openmmb.model.linear import Activation

PANEL: Final = 32
"""Outputs that are computed together. For the ten rows of a beam search their sums take 20 of the
32 registers of AVX-512, so each weight is read once."""


class Buffers(NamedTuple):
    """Memory for what a layer computes."""

    products: Tensor
    """(P, R, 32)."""
    outputs: Tensor
    """(R, P, 32)."""


class PanelLinear(FilledLinear):
    """A linear layer whose weight lies in panels (P, K, 32), each read once from end to end.

    The result is that of ``Linear`` but for the order of its sums. MKL multiplies ten rows with
    them in its registers where it uses AVX-512; elsewhere they are slower than oneDNN's layout.

    Attributes:
        size: How many numbers the panels take.
        memory: Where they are to lie; None: in memory of their own.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        activation: Activation = "none",
        stepwise: bool = True,
    ) -> None:
        super().__init__(inputs, outputs, bias=bias, activation=activation, stepwise=stepwise)
        self.size = math.ceil(outputs / PANEL) * PANEL * inputs
        self.memory: Tensor | None = None

    def fill(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Take over a weight (N, K) in float32 on the CPU, and a bias (N,)."""
        memory = huge_pages(self.size) if self.memory is None else self.memory
        panels = memory.view(-1, self.num_inputs, PANEL)
        with torch.no_grad():
            for panel, rows in zip(panels, torch.split(weight, PANEL), strict=True):
                panel[:, : len(rows)] = rows.T
                panel[:, len(rows) :] = 0
            if bias is not None:
                bias = F.pad(bias, (0, -self.num_outputs % PANEL)).view(-1, PANEL)
        self.weight, self.bias = panels, bias

    @torch.no_grad()
    def forward(self, x: Tensor, buffers: Buffers | None = None) -> Tensor:
        """(..., K) -> (..., N); with ``buffers``, in them, until they are next used."""
        rows = x.reshape(-1, x.shape[-1])
        products, out = self.allocate(len(rows)) if buffers is None else buffers
        torch.bmm(rows.expand(len(self.weight), -1, -1), self.weight, out=products)
        if self.bias is None:
            out.copy_(products.transpose(0, 1))
        else:
            torch.add(products.transpose(0, 1), self.bias, out=out)
        outputs = out.view(*x.shape[:-1], len(self.weight) * PANEL)[..., : self.num_outputs]
        match self.activation:
            case "gelu":
                return F.gelu(outputs)
            case "relu":
                return F.relu(outputs)
        return outputs

    def for_rows(self, rows: int) -> Callable[[Tensor], Tensor]:
        """Return the layer for so many rows, with memory that every call uses again."""
        return partial(self, buffers=self.allocate(rows))

    def allocate(self, rows: int) -> Buffers:
        """Return memory for the outputs of so many rows.

        Where they are many, as those of a vocabulary, using the same again saves a third of the
        time or more: fresh memory comes from the kernel, zeroed page by page.
        """
        panels = len(self.weight)
        products = self.weight.new_empty(panels, rows, PANEL)
        return Buffers(products, self.weight.new_empty(rows, panels, PANEL))


def share_memory(layers: Iterable[nn.Module]) -> None:
    """Give those of ``layers`` that are panels one piece of memory, one after the other in it."""
    panels = [layer for layer in layers if isinstance(layer, PanelLinear)]
    sizes = [layer.size for layer in panels]
    if not panels:
        return
    for layer, memory in zip(panels, torch.split(huge_pages(sum(sizes)), sizes), strict=True):
        layer.memory = memory


def huge_pages(count: int) -> Tensor:
    """Return memory for ``count`` float32 numbers, in huge pages where the system has them.

    Weights are read from memory at every step, where looking up pages of 4 KB takes its time too.
    """
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(count)
    memory = mmap.mmap(-1, count * 4, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=torch.float32)
