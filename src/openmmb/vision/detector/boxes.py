"""Rectangles in pixels, as the original counts them: both ends are inside, so x2 - x1 + 1 wide.

Sizes: R boxes of four numbers each, x1, y1, x2, y2.
"""

import math
from typing import Final

import torch
from torch import Tensor

_MAX_GROWTH: Final = math.log(1000 / 16)


def sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(R, 4) -> widths (R,) and heights (R,)."""
    return boxes[:, 2] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 1] + 1


def move(boxes: Tensor, deltas: Tensor) -> Tensor:
    """Move each box (R, 4) by what the network says (R, 4): two shares of its sides, two logs."""
    width, height = sides(boxes)
    centre_x = deltas[:, 0] * width + (boxes[:, 0] + 0.5 * width)
    centre_y = deltas[:, 1] * height + (boxes[:, 1] + 0.5 * height)
    width = deltas[:, 2].clamp(max=_MAX_GROWTH).exp() * width
    height = deltas[:, 3].clamp(max=_MAX_GROWTH).exp() * height
    left, top = centre_x - 0.5 * width, centre_y - 0.5 * height
    right, bottom = centre_x + 0.5 * width - 1, centre_y + 0.5 * height - 1
    return torch.stack([left, top, right, bottom], dim=1)


def clip(boxes: Tensor, height: int, width: int) -> Tensor:
    """Cut boxes (R, 4) off at the ends of a canvas."""
    ends = boxes.new_tensor([width - 1, height - 1, width - 1, height - 1])
    return torch.minimum(boxes.clamp(min=0), ends)


def clashes(boxes: Tensor, threshold: float) -> Tensor:
    """(R, 4) -> (R, R) bool, True where two boxes share ``threshold`` of their union or more.

    The original's CPU code counts a share of exactly ``threshold``, its CUDA code does not.
    """
    width, height = sides(boxes)
    area = width * height
    first = torch.maximum(boxes[:, None, :2], boxes[:, :2])
    last = torch.minimum(boxes[:, None, 2:], boxes[:, 2:])
    common = (last - first + 1).clamp(min=0).prod(-1)
    return common / (area[:, None] + area - common) >= threshold


def survivors(clash: Tensor) -> Tensor:
    """Suppress greedily: a row falls when it clashes with a row above it that does not fall.

    Applies that rule to all rows at once until nothing changes. Round k has the first k rows
    right for good, so what stays is the greedy answer; a dozen rounds are usual.

    Args:
        clash: (R, R) bool, symmetric; rows are ordered best first.

    Returns:
        (R,) bool, True at what stays.
    """
    above = clash.triu(1)
    kept = torch.ones_like(clash[0]) if len(clash) else clash.new_zeros(0)
    while True:
        now = ~(above & kept[:, None]).any(0)
        if torch.equal(now, kept):
            return kept
        kept = now
