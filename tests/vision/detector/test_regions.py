"""The regions are the best boxes of some class, as the plain rule with every class finds them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from openmmb.vision.detector.boxes import clashes
from openmmb.vision.detector.regions import NUM_REGIONS, rate, select


def boxes_and_logits(count: int, *, seed: int, spread: float = 3.0) -> tuple[Tensor, Tensor]:
    """Boxes of which some overlap, and logits of 12 classes."""
    source = torch.Generator().manual_seed(seed)
    boxes = torch.rand(count, 4, generator=source) * torch.tensor([90.0, 90, 30, 30])
    boxes[:, 2:] += boxes[:, :2]
    return boxes, torch.randn(count, 12, generator=source) * spread


def slow(boxes: Tensor, chances: Tensor) -> Tensor:
    """Class by class and box by box, without any floor."""
    clash = clashes(boxes, 0.5)
    confidence = torch.zeros(len(boxes))
    for column in chances.T:
        kept: list[int] = []
        for box in column.argsort(descending=True, stable=True).tolist():
            if not clash[box, kept].any():
                kept.append(box)
                confidence[box] = max(confidence[box], column[box])
    return confidence


@settings(max_examples=20)
@given(st.integers(0, 160), st.integers(0, 2**31), st.sampled_from([0.01, 1.0, 3.0, 40.0]))
def test_the_best_boxes_are_those_of_the_plain_rule(count: int, seed: int, spread: float) -> None:
    boxes, logits = boxes_and_logits(count, seed=seed, spread=spread)
    chances = logits.softmax(-1)[:, 1:]
    found, expected = rate(boxes, chances), slow(boxes, chances)
    order = expected.argsort(descending=True, stable=True)[:NUM_REGIONS]
    assert torch.equal(found[order], expected[order])
    assert torch.equal(found.argsort(descending=True, stable=True)[:NUM_REGIONS], order)


def test_the_floor_is_lowered_until_enough_boxes_are_left() -> None:
    boxes, _ = boxes_and_logits(NUM_REGIONS, seed=0)
    crowd = boxes[:1] + torch.rand(600, 4)  # they all overlap, and are likeliest in one class
    logits = torch.cat([torch.randn(600, 12) * 0.1, torch.randn(NUM_REGIONS, 12) * 0.1])
    logits[:600, 3] += 9.0
    every = torch.cat([crowd, boxes])
    chances = logits.softmax(-1)[:, 1:]
    found, expected = rate(every, chances), slow(every, chances)
    order = expected.argsort(descending=True, stable=True)[:NUM_REGIONS]
    assert torch.equal(found[order], expected[order])


def test_regions_are_ordered_and_belong_together() -> None:
    boxes, logits = boxes_and_logits(150, seed=1)
    features = torch.arange(150.0)[:, None].expand(-1, 8)
    regions = select(features, logits, boxes)
    chosen = regions.features[:, 0].long()
    assert regions.num_regions == NUM_REGIONS
    assert regions.mask.all()
    assert (regions.confidence.diff() <= 0).all()
    assert torch.equal(regions.boxes, boxes[chosen])
    assert torch.equal(regions.classes, logits[chosen, 1:].argmax(-1))


@pytest.mark.parametrize("count", [0, 1, 99])
def test_missing_regions_are_zeros_and_masked(count: int) -> None:
    boxes, logits = boxes_and_logits(count, seed=2)
    regions = select(torch.ones(count, 8), logits, boxes)
    assert regions.features.shape == (NUM_REGIONS, 8)
    assert regions.boxes.shape == (NUM_REGIONS, 4)
    assert regions.num_regions == count
    assert regions.mask.tolist() == [True] * count + [False] * (NUM_REGIONS - count)
    assert torch.equal(regions.features.any(-1), regions.mask)
    assert not regions.confidence[count:].any()
