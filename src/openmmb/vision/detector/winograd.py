"""3 x 3 convolutions with a quarter of the products.

The minimal filtering F(4 x 4, 3 x 3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural
Networks" (2016): 4 x 4 values of the result from 6 x 6 of the grid with 36 products instead of
144, at the price of some four times the rounding. Worth it on a CPU, where a wide convolution is
as slow as its products, through oneDNN's.

Sizes: h x w cells of a grid, C channels of it, D of the result, T tiles of 4 x 4 cells.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmmb.vision.detector.fused import FusedLinear, product

_TILE, _TAPS = 4, 6
_TILES_AT_ONCE: Final = 96  # what lies between the three products should stay in the cache

_GRID: Final = (  # a line of the grid, and so on: into the terms whose products are the result's
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_FILTER: Final = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_RESULT: Final = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


class WinogradConv(nn.Module):
    """Does what a 3 x 3 convolution with a padding of one does.

    Raises:
        ValueError: ``conv`` is of another kind.
    """

    bias: Tensor
    into: Tensor
    back: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        if not _suits(conv) or conv.bias is None:
            raise ValueError(f"expected 3 x 3, padding 1, a bias, and nothing else, got {conv}")
        filters = conv.weight.detach().double().flatten(2)  # (D, C, 9)
        terms = torch.tensordot(
            _both_sides(_FILTER), filters, dims=([1], [2])
        ).float()  # (36, D, C)
        self.products = nn.ModuleList(
            FusedLinear(term, None, rows=_TILES_AT_ONCE) for term in terms
        )
        self.register_buffer("bias", conv.bias.detach())
        self.register_buffer("into", _both_sides(_GRID).float())
        self.register_buffer("back", _both_sides(_RESULT).float())

    def forward(self, grid: Tensor) -> Tensor:
        """(1, C, h, w) -> (1, D, h, w)."""
        height, width = grid.shape[-2:]
        down, across = -(-height // _TILE), -(-width // _TILE)
        bottom, right = down * _TILE - height + 1, across * _TILE - width + 1
        padded = F.pad(grid[0].permute(1, 2, 0), (0, 0, 1, right, 1, bottom))
        result = grid.new_empty(down, _TILE, across, _TILE, len(self.bias))
        step = max(1, _TILES_AT_ONCE // across)
        for first in range(0, down, step):
            last = min(first + step, down)
            lines = padded[first * _TILE : last * _TILE + _TAPS - _TILE]
            cells = self._strip(lines).permute(2, 0, 3, 1, 4)
            torch.add(cells, self.bias, out=result[first:last])
        whole = result.view(down * _TILE, across * _TILE, -1)[:height, :width]
        return whole.permute(2, 0, 1)[None]

    def _strip(self, lines: Tensor) -> Tensor:
        """Some lines of the padded grid (h + 2, w + 2, C) -> (4, 4, h / 4, w / 4, D)."""
        tiles = lines.unfold(0, _TAPS, _TILE).unfold(1, _TAPS, _TILE)  # (down, across, C, 6, 6)
        down, across, channels = tiles.shape[:3]
        terms = product(self.into, tiles.permute(3, 4, 0, 1, 2).reshape(_TAPS**2, -1))
        products = self._multiply(terms.view(_TAPS**2, down * across, channels))
        return product(self.back, products.flatten(1)).view(_TILE, _TILE, down, across, -1)

    def _multiply(self, terms: Tensor) -> Tensor:
        """(36, T, C) by the weight -> (36, T, D)."""
        products = terms.new_empty(*terms.shape[:2], len(self.bias))
        for out, term, layer in zip(products, terms, self.products, strict=True):
            out.copy_(layer(term))
        return products


def use_winograd(module: nn.Module) -> None:
    """Put a WinogradConv in place of every convolution right inside ``module`` that suits."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d) and _suits(child):
            module.add_module(name, WinogradConv(child))


def _suits(conv: nn.Conv2d) -> bool:
    plain = (conv.stride, conv.dilation, conv.groups) == ((1, 1), (1, 1), 1)
    return plain and conv.kernel_size == (3, 3) and conv.padding == (1, 1)


def _both_sides(matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """Return what applies ``matrix`` to both sides of a square that is written as one column."""
    once = torch.tensor(matrix, dtype=torch.float64)
    return torch.kron(once, once)
