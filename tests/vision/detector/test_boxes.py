"""Boxes are moved, cut and suppressed as the original does it, pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from openmmb.vision.detector.boxes import clashes, clip, move, sides, survivors

UNITS = np.load(Path(__file__).parents[0] / "data" / "units.npz")


def unit(name: str) -> Tensor:
    return torch.from_numpy(UNITS[name])


def test_moving_is_the_recorded_one() -> None:
    moved = move(unit("decode_boxes"), unit("decode_codes"))
    torch.testing.assert_close(moved, unit("decode_out"), atol=1e-4, rtol=1e-6)


def test_clipping_is_the_recorded_one() -> None:
    assert torch.equal(clip(unit("decode_out"), 224, 352), unit("clip_out_352x224"))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_suppression_is_the_recorded_one(threshold: float) -> None:
    order = unit("nms_scores").argsort(descending=True)
    clash = clashes(unit("nms_boxes")[order], threshold)
    kept = order[survivors(clash)].sort().values
    assert torch.equal(kept, unit(f"nms_keep_{threshold}"))


def test_a_share_of_exactly_the_threshold_clashes() -> None:
    kept = survivors(clashes(unit("nms_tie_boxes"), 0.5)).nonzero()[:, 0]
    assert torch.equal(kept, unit("nms_tie_keep_0.5_cpu"))


def slow_clash(one: list[float], other: list[float], threshold: float) -> bool:
    def area(x1: float, y1: float, x2: float, y2: float) -> float:
        return max(0.0, x2 - x1 + 1) * max(0.0, y2 - y1 + 1)

    low = [max(one[axis], other[axis]) for axis in (0, 1)]
    high = [min(one[axis], other[axis]) for axis in (2, 3)]
    common = area(*low, *high)
    return common / (area(*one) + area(*other) - common) >= threshold


corners = st.tuples(*[st.integers(0, 9)] * 2, *[st.integers(0, 6)] * 2)
box_lists = st.lists(
    corners.map(lambda c: [float(n) for n in (c[0], c[1], c[0] + c[2], c[1] + c[3])]), max_size=12
)


@given(box_lists, st.sampled_from([0.25, 0.5, 0.7]))
def test_clashes_are_those_of_each_pair(boxes: list[list[float]], threshold: float) -> None:
    found = clashes(torch.tensor(boxes).view(-1, 4), threshold).tolist()
    assert found == [[slow_clash(one, other, threshold) for other in boxes] for one in boxes]


def slow_survivors(clash: list[list[bool]]) -> list[bool]:
    kept: list[bool] = []
    for row in clash:
        kept.append(not any(stays and row[above] for above, stays in enumerate(kept)))
    return kept


@given(st.integers(0, 40), st.floats(0, 1), st.integers(0, 2**31))
def test_what_survives_is_what_one_by_one_suppression_leaves(
    count: int, share: float, seed: int
) -> None:
    draw = torch.rand(count, count, generator=torch.Generator().manual_seed(seed)) < share
    clash = draw | draw.T
    assert survivors(clash).tolist() == slow_survivors(clash.tolist())


def test_a_chain_of_clashes_falls_in_turns() -> None:
    clash = torch.eye(9, dtype=torch.bool)
    chain = torch.arange(8)
    clash[chain, chain + 1] = clash[chain + 1, chain] = True
    assert survivors(clash).tolist() == [True, False] * 4 + [True]


def test_both_ends_of_a_box_are_inside() -> None:
    width, height = sides(torch.tensor([[0.0, 2.0, 0.0, 4.0]]))
    assert (width.tolist(), height.tolist()) == ([1.0], [3.0])
