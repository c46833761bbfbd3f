"""Which boxes a picture is told by: those that are the best of their surroundings in a class.

The selection of the extraction that Multi-Modal BlenderBot was trained on.

Sizes: R boxes, I = 100 of them chosen, F features of each.
"""

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from openmmb.vision.detector.boxes import clashes, survivors

NUM_REGIONS: Final = 100
"""I."""

_MAX_OVERLAP: Final = 0.5


@dataclass(frozen=True, slots=True)
class Regions:
    """What is to be seen in a picture, surest first; on the CPU.

    Attributes:
        features: (I, F) float32, not negative; zeros beyond the last region.
        boxes: (I, 4) float32, x1, y1, x2, y2 in pixels of the picture, both ends inside.
        confidence: (I,) float32, from 0 to 1.
        classes: (I,) int64, Visual Genome's 1600 as the detector numbers them, without background.
        num_regions: How many there are; only a picture with fewer proposals has less than I.
    """

    features: Tensor
    boxes: Tensor
    confidence: Tensor
    classes: Tensor
    num_regions: int

    @property
    def mask(self) -> Tensor:
        """(I,) bool, True at regions."""
        return torch.arange(len(self.features)) < self.num_regions


def select(features: Tensor, logits: Tensor, boxes: Tensor) -> Regions:
    """Choose the regions.

    Args:
        features: (R, F).
        logits: (R, classes), the background first.
        boxes: (R, 4), in pixels of the picture.
    """
    chances = logits.softmax(-1)[:, 1:]
    confidence = rate(boxes, chances)
    best = confidence.argsort(descending=True, stable=True)[:NUM_REGIONS]
    return Regions(
        features=_pad(features[best]),
        boxes=_pad(boxes[best]),
        confidence=_pad(confidence[best]),
        classes=_pad(chances[best].argmax(-1)),
        num_regions=len(best),
    )


def rate(boxes: Tensor, chances: Tensor) -> Tensor:
    """Return the highest chance of each box among the classes where no better box overlaps it.

    Exact for the NUM_REGIONS best; others may come out as 0. What happens to a box in a class
    depends on likelier boxes only, so chances below a floor matter only if too few boxes are
    left above it: then the floor is lowered.

    Args:
        boxes: (R, 4).
        chances: (R, classes).

    Returns:
        (R,).
    """
    wanted = min(NUM_REGIONS, len(boxes))
    clash = clashes(boxes, _MAX_OVERLAP)
    floor = _first_floor(chances)
    while True:
        confidence = _rate_above(floor, clash, chances)
        if floor == 0 or int(confidence.count_nonzero()) >= wanted:
            return confidence
        floor = floor / 8 if floor > 1e-6 else 0.0


def _first_floor(chances: Tensor) -> float:
    """Four boxes for each that is wanted have a class above it."""
    best = chances.amax(1)
    return float(best.topk(min(4 * NUM_REGIONS, len(best))).values.amin()) if len(best) else 0.0


def _rate_above(floor: float, clash: Tensor, chances: Tensor) -> Tensor:
    confidence = chances.new_zeros(len(chances))
    above = chances > floor
    for category in above.any(0).nonzero()[:, 0].tolist():
        column = chances[:, category]
        boxes = above[:, category].nonzero()[:, 0]
        boxes = boxes[column[boxes].argsort(descending=True, stable=True)]
        kept = boxes[survivors(clash[boxes][:, boxes])]
        confidence[kept] = torch.maximum(confidence[kept], column[kept])
    return confidence


def _pad(rows: Tensor) -> Tensor:
    """(at most I, ...) -> (I, ...), with zeros."""
    missing = NUM_REGIONS - len(rows)
    return F.pad(rows, (0, 0) * (rows.dim() - 1) + (0, missing))
