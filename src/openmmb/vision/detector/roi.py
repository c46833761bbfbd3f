"""What is in a box: features of it, and a rating for every class.

RoIAlign of He et al., "Mask R-CNN" (2017), without the half pixel by which later versions shift
boxes. The modules keep the names of the published weights.

Sizes: R boxes, C channels of the pyramid, F features of a box.
"""

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openmmb.vision.detector.boxes import sides
from openmmb.vision.detector.fused import FusedLinear
from openmmb.vision.detector.proposals import MAX_PROPOSALS, STRIDES

BINS: Final = 7
"""Along each side of a box."""

_SAMPLES: Final = 2  # along each side of a bin
_USUAL_SIDE, _USUAL_LEVEL = 224, 2  # a box of 224 x 224 is looked up in the third grid
_NUM_LEVELS: Final = 4


class BoxHead(nn.Module):
    """Two layers on the pooled box, and a classifier.

    Args:
        width: C.
        feature_dim: F.
        num_classes: With the background, which is the first.
    """

    def __init__(self, *, width: int, feature_dim: int, num_classes: int) -> None:
        super().__init__()
        self.fc6: nn.Module = nn.Linear(width * BINS**2, feature_dim)
        self.fc7: nn.Module = nn.Linear(feature_dim, feature_dim)
        self.cls_score: nn.Module = nn.Linear(feature_dim, num_classes)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """(R, C * BINS**2) -> features (R, F), not negative, and logits (R, classes)."""
        features = F.relu_(self.fc6(pooled))
        return features, self.cls_score(F.relu_(self.fc7(features)))

    def fuse(self) -> None:
        """Lay the weights out for a CPU."""
        for name, layer in list(self.named_children()):
            if isinstance(layer, nn.Linear):
                self.add_module(name, FusedLinear(layer.weight, layer.bias, rows=MAX_PROPOSALS))


def pool(pyramid: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """Cut boxes (R, 4) out of the grids (1, C, h, w) that suit their sizes -> (R, C * BINS**2)."""
    level = choose_level(boxes)
    pooled = boxes.new_empty(len(boxes), pyramid[0].shape[1], BINS, BINS)
    for number, (grid, stride) in enumerate(zip(pyramid[:_NUM_LEVELS], STRIDES, strict=False)):
        chosen = level == number
        pooled[chosen] = roi_align(grid[0].float(), boxes[chosen], stride)
    return pooled.flatten(1)


def choose_level(boxes: Tensor) -> Tensor:
    """Return the number (R,) of the grid for each box (R, 4): twice the side, one grid coarser."""
    width, height = sides(boxes)
    size = (width * height).sqrt() / _USUAL_SIDE
    return (_USUAL_LEVEL + (size + 1e-6).log2()).floor().clamp(0, _NUM_LEVELS - 1).long()


def roi_align(grid: Tensor, boxes: Tensor, stride: int) -> Tensor:
    """Average each bin of each box over four points, read from the grid in between its cells.

    Args:
        grid: (C, h, w).
        boxes: (R, 4), in canvas pixels.
        stride: Canvas pixels between two cells of the grid.

    Returns:
        (R, C, BINS, BINS).
    """
    channels, height, width = grid.shape
    start_x, start_y, end_x, end_y = (boxes / stride).unbind(1)
    y, y_share = _taps(start_y, end_y, height)
    x, x_share = _taps(start_x, end_x, width)
    cell = y[:, :, None, :, None] * width + x[:, None, :, None, :]
    share = y_share[:, :, None, :, None] * x_share[:, None, :, None, :]
    taps = cell.shape[-2] * cell.shape[-1]
    bins = F.embedding_bag(  # a weighted sum of rows, and the fastest one there is
        cell.reshape(-1, taps),
        grid.permute(1, 2, 0).reshape(-1, channels),
        per_sample_weights=share.reshape(-1, taps),
        mode="sum",
    )
    return bins.view(len(boxes), BINS, BINS, channels).permute(0, 3, 1, 2)


def _taps(start: Tensor, end: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return, for each bin along one side, the cells that its points lie between.

    Args:
        start: (R,), in cells of the grid.
        end: (R,).
        size: Places of the grid along this side.

    Returns:
        Places (R, BINS, 4), two for each of two points, and the share of each in the bin.
    """
    bin_side = (end - start).clamp(min=1) / BINS
    offset = (torch.arange(BINS * _SAMPLES, device=start.device) + 0.5) / _SAMPLES
    point = start[:, None] + offset * bin_side[:, None]  # (R, BINS * 2)
    inside = (point >= -1) & (point <= size)
    point = point.clamp(0, size - 1)
    cell = point.long()
    far = point - cell
    cells = torch.stack([cell, (cell + 1).clamp(max=size - 1)], dim=-1)
    shares = torch.stack([1 - far, far], dim=-1) * inside[..., None] / _SAMPLES
    taps = (len(start), BINS, 2 * _SAMPLES)
    return cells.view(taps), shares.view(taps)
