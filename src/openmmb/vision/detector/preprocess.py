"""From an RGB picture to the canvas that the detector looks at.

The steps of the original, to the rounding of each: blue first, mean subtracted, then bilinear
resizing without antialias whose step is 1 / scale rather than a ratio of sizes, then zeros at the
right and bottom.

Sizes: H x W is the canvas, multiples of 32.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

PREPROCESSING: Final = "bgr - mean; short side 800, long at most 1333; bilinear, step 1/scale; /32"
"""What ``preprocess`` does; part of the encoder's fingerprint, so change both together."""

_MEAN_BGR: Final = (102.9801, 115.9465, 122.7717)
_MULTIPLE: Final = 32  # the step of the coarsest grid that the body makes


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture as the detector takes it.

    Attributes:
        pixels: (1, 3, H, W) float32, channels last; zeros beyond the picture.
        scale: Canvas pixels per picture pixel.
    """

    pixels: Tensor
    scale: float


def preprocess(image: Image.Image, *, min_side: int = 800, max_side: int = 1333) -> Canvas:
    """Resize an RGB picture so that its short side is ``min_side``, and lay it on a canvas.

    Where its long side would pass ``max_side``, that decides instead.
    """
    scale = _scale(image.height, image.width, min_side, max_side)
    pixels = _resize(torch.from_numpy(np.array(image)), scale)  # (height, width, 3)
    bottom, right = (-side % _MULTIPLE for side in pixels.shape[:2])
    padded = F.pad(pixels, (0, 0, 0, right, 0, bottom))
    return Canvas(pixels=padded.permute(2, 0, 1)[None], scale=scale)


def _scale(height: int, width: int, min_side: int, max_side: int) -> float:
    short, long = sorted((height, width))
    scale = min_side / short
    return scale if round(scale * long) <= max_side else max_side / long


def _resize(image: Tensor, scale: float) -> Tensor:
    """(height, width, RGB) uint8 -> (scaled height, scaled width, BGR) float32 less the mean."""
    above, below, down = _taps(image.shape[0], scale)
    left, right, across = _taps(image.shape[1], scale)
    mean = torch.tensor(_MEAN_BGR, dtype=torch.float64)

    def row(y: Tensor) -> Tensor:
        """Resize lines ``y`` across."""
        lines = image[y].flip(-1)
        near, far = ((lines[:, x].double() - mean).float() for x in (left, right))
        return near * (1 - across)[:, None] + far * across[:, None]

    return row(above) * (1 - down)[:, None, None] + row(below) * down[:, None, None]


def _taps(size: int, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each position of a resized axis, its two sources and the share of the second."""
    positions = torch.arange(max(1, round(size * scale)), dtype=torch.float64)  # at least one line
    source = ((positions + 0.5) / scale - 0.5).clamp(0, size - 1)
    first = source.long()
    return first, (first + 1).clamp(max=size - 1), (source - first).float()
