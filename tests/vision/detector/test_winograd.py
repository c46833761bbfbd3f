"""Fewer products give what the plain convolution gives, for grids of any size."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from openmmb.vision.detector.fused import can_fuse
from openmmb.vision.detector.winograd import WinogradConv, use_winograd

pytestmark = pytest.mark.skipif(
    not can_fuse(torch.device("cpu")), reason="this build of PyTorch has no such kernels"
)


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 5), st.integers(1, 5))
def test_it_is_the_convolution(height: int, width: int, inputs: int, outputs: int) -> None:
    conv = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
    grid = torch.randn(1, inputs, height, width)
    torch.testing.assert_close(WinogradConv(conv)(grid), conv(grid), atol=1e-4, rtol=1e-4)


def test_a_grid_of_several_strips_is_put_together() -> None:
    conv = nn.Conv2d(3, 2, kernel_size=3, padding=1)
    grid = torch.randn(1, 3, 90, 301).to(memory_format=torch.channels_last)
    torch.testing.assert_close(WinogradConv(conv)(grid), conv(grid), atol=1e-4, rtol=1e-4)


def test_rounding_is_small_for_wide_grids() -> None:
    conv = nn.Conv2d(256, 8, kernel_size=3, padding=1)
    grid = torch.randn(1, 256, 12, 12)
    exact = conv.double()(grid.double())
    error = WinogradConv(conv)(grid).double() - exact
    assert error.abs().max() < 1e-4 * exact.abs().max()


def test_only_what_suits_is_replaced() -> None:
    module = nn.Sequential(
        nn.Conv2d(4, 4, kernel_size=3, padding=1),
        nn.Conv2d(4, 4, kernel_size=1),
        nn.Conv2d(4, 4, kernel_size=3, padding=1, stride=2),
        nn.Conv2d(4, 4, kernel_size=3, padding=1, groups=2),
    )
    use_winograd(module)
    assert [type(child) for child in module] == [WinogradConv, *[nn.Conv2d] * 3]
    with pytest.raises(ValueError, match=r"expected 3 x 3, padding 1, a bias, .*size=\(1, 1"):
        WinogradConv(nn.Conv2d(4, 4, kernel_size=1))
