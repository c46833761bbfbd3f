"""Anchors are the recorded ones, and proposals are the likeliest boxes, likeliest first."""

from pathlib import Path

import numpy as np
import pytest
import torch

from openmmb.vision.detector.boxes import clashes, move
from openmmb.vision.detector.proposals import (
    MAX_PROPOSALS,
    STRIDES,
    ProposalHead,
    anchors_at,
    cell_anchors,
    propose,
)

UNITS = np.load(Path(__file__).parent / "data" / "units.npz")
GRIDS = [(3, 4), (2, 2), (1, 2), (1, 1), (1, 1)]


@pytest.mark.parametrize("level", range(5))
def test_anchors_are_the_recorded_ones(level: int) -> None:
    stride = STRIDES[level]
    assert cell_anchors(stride).tolist() == UNITS["cell_anchors"][level].tolist()
    height, width = GRIDS[level]
    found = anchors_at(torch.arange(height * width * 3), width, stride)
    assert found.tolist() == UNITS[f"grid_anchors{level}"].tolist()


def pyramid(height: int, width: int) -> list[torch.Tensor]:
    grids = [torch.randn(1, 8, height // s, width // s) for s in STRIDES[:4]]
    return [*grids, grids[-1][:, :, ::2, ::2]]


def test_the_head_lists_places_row_by_row_with_three_boxes_each() -> None:
    head = ProposalHead(8).eval()
    grid = torch.randn(1, 8, 5, 6)
    hidden = head.conv(grid).relu()
    logits, deltas = head(grid)
    index = (3 * 6 + 2) * 3 + 1  # the second shape at row 3, column 2
    torch.testing.assert_close(logits[index], head.cls_logits(hidden)[0, 1, 3, 2])
    torch.testing.assert_close(deltas[index], head.bbox_pred(hidden)[0, 4:8, 3, 2])


def test_proposals_are_inside_and_at_most_a_thousand() -> None:
    with torch.inference_mode():
        boxes = propose(ProposalHead(8), pyramid(320, 448), 320, 448)
    assert boxes.shape == (MAX_PROPOSALS, 4)
    assert boxes.min() >= 0
    assert boxes[:, [0, 2]].max() <= 447
    assert boxes[:, [1, 3]].max() <= 319


def slow(head: ProposalHead, grids: list[torch.Tensor], side: int) -> list[list[float]]:
    """Every anchor of every grid, suppressed one by one, then sorted."""
    found: list[tuple[float, list[float]]] = []
    for grid, stride in zip(grids, STRIDES, strict=True):
        logits, deltas = head(grid)
        places = len(logits)
        boxes = move(anchors_at(torch.arange(places), grid.shape[-1], stride), deltas)
        boxes = boxes.clamp(0, side - 1)
        clash = clashes(boxes, 0.7)
        kept: list[int] = []
        for box in logits.argsort(descending=True).tolist():
            if not clash[box, kept].any():
                kept.append(box)
                found.append((float(logits[box]), boxes[box].tolist()))
    return [box for _, box in sorted(found, key=lambda rated: -rated[0])]


def test_proposals_are_those_of_a_loop_over_all_anchors() -> None:
    head, grids = ProposalHead(8), pyramid(64, 64)
    with torch.inference_mode():
        boxes = propose(head, grids, 64, 64)
        expected = torch.tensor(slow(head, grids, 64))
    assert len(boxes) == len(expected) < MAX_PROPOSALS
    # As sets: equals after the sigmoid stand in any order.
    distance = (boxes[:, None] - expected).abs().amax(-1)
    assert max(distance.amin(0).max(), distance.amin(1).max()) < 1e-3
