"""A box is read from the right grid, and each bin is the mean of four points in between places."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from openmmb.vision.detector.roi import BINS, BoxHead, choose_level, pool, roi_align

UNITS = np.load(Path(__file__).parent / "data" / "units.npz")


def test_levels_are_the_recorded_ones() -> None:
    levels = choose_level(torch.from_numpy(UNITS["level_boxes"]))
    assert levels.tolist() == UNITS["level_out"].tolist()


def test_pooling_is_the_recorded_one_for_boxes_beyond_the_grid_too() -> None:
    for (picture, *box), expected in zip(
        UNITS["roi_rois"].tolist(), UNITS["roi_out_scale32_7x7_s2"], strict=True
    ):
        grid = torch.from_numpy(UNITS["roi_feat"][int(picture)])
        found = roi_align(grid, torch.tensor([box]), stride=32)
        torch.testing.assert_close(found[0], torch.from_numpy(expected), atol=1e-5, rtol=0)


def slow_point(grid: Tensor, y: float, x: float) -> float:
    """Read a grid (h, w) in between its places."""
    height, width = grid.shape
    ends = (y + 1, y - height, x + 1, x - width)
    assume(min(map(abs, ends)) > 1e-3)  # rounding decides whether such a point is inside
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    value = 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            share = max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column))
            if share:
                value += share * float(grid[row, column])
    return value


def slow(grid: Tensor, box: list[float], stride: int, row: int, column: int) -> float:
    """One bin of one box."""
    x1, y1, x2, y2 = (number / stride for number in box)
    side_x, side_y = max(x2 - x1, 1) / BINS, max(y2 - y1, 1) / BINS
    points = [
        slow_point(grid, y1 + (row + part_y) * side_y, x1 + (column + part_x) * side_x)
        for part_y in (0.25, 0.75)
        for part_x in (0.25, 0.75)
    ]
    return sum(points) / 4


ends = st.floats(-20, 100, width=32)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(ends, ends, ends, ends).map(list), max_size=3),
    st.integers(1, 7),
    st.integers(1, 9),
)
def test_a_bin_is_what_a_loop_computes(boxes: list[list[float]], height: int, width: int) -> None:
    grid = torch.randn(2, height, width)
    found = roi_align(grid, torch.tensor(boxes).view(-1, 4), stride=8)
    assert found.shape == (len(boxes), 2, BINS, BINS)
    for number, box in enumerate(boxes):
        for row, column in ((0, 0), (2, 5), (6, 6)):
            expected = slow(grid[1], box, 8, row, column)
            assert float(found[number, 1, row, column]) == pytest.approx(expected, abs=1e-3)


def test_each_box_is_read_from_its_grid() -> None:
    pyramid = [torch.full((1, 2, 256 >> n, 256 >> n), float(n)) for n in range(5)]
    boxes = torch.tensor([[0, 0, s, s] for s in (30, 111, 223, 447, 1000)], dtype=torch.float32)
    pooled = pool(pyramid, boxes)
    assert pooled.shape == (5, 2 * BINS**2)
    assert pooled.mean(1).tolist() == pytest.approx([0, 1, 2, 3, 3])


def test_features_are_taken_after_the_first_layer_and_are_not_negative() -> None:
    head = BoxHead(width=2, feature_dim=8, num_classes=4)
    pooled = torch.randn(3, 2 * BINS**2)
    features, logits = head(pooled)
    torch.testing.assert_close(features, head.fc6(pooled).relu())
    torch.testing.assert_close(logits, head.cls_score(head.fc7(features).relu()))
