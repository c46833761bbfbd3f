"""Where there may be something: the boxes that the rest of the detector looks into.

The region proposal network of Ren et al., "Faster R-CNN" (2015), over the grids of a pyramid. The
modules keep the names of the published weights.

Sizes: h x w a grid, A = 3 anchors at each of its cells, R boxes.
"""

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmmb.vision.detector.boxes import clashes, clip, move, survivors

STRIDES: Final = (4, 8, 16, 32, 64)
"""Canvas pixels from one cell of each grid to the next."""

MAX_PROPOSALS: Final = 1000
"""Most proposals of each grid, and of all together."""

_ANCHOR_SIDE: Final = 8  # in strides, of a square anchor
_RATIOS: Final = (0.5, 1.0, 2.0)
_MAX_OVERLAP: Final = 0.7


class ProposalHead(nn.Module):
    """Rate and move the anchors of a grid of ``width`` channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.cls_logits = nn.Conv2d(width, len(_RATIOS), kernel_size=1)
        self.bbox_pred = nn.Conv2d(width, 4 * len(_RATIOS), kernel_size=1)

    def forward(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """(1, width, h, w) -> logits (h * w * A,) and deltas (h * w * A, 4)."""
        hidden = F.relu_(self.conv(grid)).float()
        logits, deltas = self.cls_logits(hidden), self.bbox_pred(hidden)
        return logits.permute(0, 2, 3, 1).reshape(-1), deltas.permute(0, 2, 3, 1).reshape(-1, 4)


def propose(head: ProposalHead, pyramid: Sequence[Tensor], height: int, width: int) -> Tensor:
    """Find the likeliest boxes on a canvas of ``height`` x ``width``.

    Args:
        head: The network.
        pyramid: A grid (1, channels, h, w) for each of STRIDES.
        height: Of the canvas, where boxes end.
        width: Of the canvas.

    Returns:
        (R, 4), likeliest first, at most MAX_PROPOSALS.
    """
    boxes, chances = [], []
    for grid, stride in zip(pyramid, STRIDES, strict=True):
        logits, deltas = head(grid)
        # The original chooses after the sigmoid, which makes equals of what is nearly certain.
        chance, best = logits.sigmoid().topk(min(MAX_PROPOSALS, len(logits)))
        start = anchors_at(best, grid.shape[-1], stride)
        moved = clip(move(start, deltas[best]), height, width)
        kept = survivors(clashes(moved, _MAX_OVERLAP))
        boxes.append(moved[kept])
        chances.append(chance[kept])
    every = torch.cat(chances)
    return torch.cat(boxes)[every.topk(min(MAX_PROPOSALS, len(every))).indices]


def cell_anchors(stride: int) -> Tensor:
    """Return the anchors (A, 4) of a grid's first cell, flat ones first, in canvas pixels."""
    rows = []
    for ratio in _RATIOS:
        width = round((stride**2 / ratio) ** 0.5)
        half_x, half_y = ((side * _ANCHOR_SIDE - 1) / 2 for side in (width, round(width * ratio)))
        centre = (stride - 1) / 2
        rows.append([centre - half_x, centre - half_y, centre + half_x, centre + half_y])
    return torch.tensor(rows)


def anchors_at(index: Tensor, grid_width: int, stride: int) -> Tensor:
    """Return the anchors (R, 4) numbered ``index`` (R,), counted by cell, then by shape."""
    cell, shape = index // len(_RATIOS), index % len(_RATIOS)
    x, y = cell % grid_width * stride, cell // grid_width * stride
    return cell_anchors(stride).to(index.device)[shape] + torch.stack([x, y, x, y], dim=1)
