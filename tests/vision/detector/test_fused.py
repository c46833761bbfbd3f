"""What follows a product inside one layer gives what it gives after it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from openmmb.vision.detector.backbone import Body
from openmmb.vision.detector.fused import FusedConv, FusedLinear, can_fuse, product
from openmmb.vision.detector.roi import BoxHead

pytestmark = pytest.mark.skipif(
    not can_fuse(torch.device("cpu")), reason="this build of PyTorch has no such kernels"
)

CONVS = {
    "1 x 1": nn.Conv2d(6, 8, kernel_size=1),
    "without a bias": nn.Conv2d(6, 8, kernel_size=1, bias=False),
    "3 x 3 in groups": nn.Conv2d(6, 8, kernel_size=3, padding=1, groups=2),
    "every second cell": nn.Conv2d(6, 8, kernel_size=3, stride=2, padding=1),
}


@pytest.mark.parametrize("name", CONVS)
@pytest.mark.parametrize("relu", [True, False])
@torch.inference_mode()
def test_a_fused_convolution_is_the_convolution(name: str, *, relu: bool) -> None:
    conv = CONVS[name].to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    grid = torch.randn(1, 6, 9, 7).to(memory_format=torch.channels_last)
    expected = conv(grid)
    fused = FusedConv(conv, relu=relu)
    torch.testing.assert_close(fused(grid), F.relu(expected) if relu else expected)
    other = torch.randn_like(expected)
    added = other + expected
    found = fused.add_to(other, grid)
    torch.testing.assert_close(found, F.relu(added))
    assert found.data_ptr() == other.data_ptr()


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_fused_linear_layer_is_the_layer(*, relu: bool, bias: bool) -> None:
    linear = nn.Linear(48, 80, bias=bias)
    fused = FusedLinear(linear.weight, linear.bias, rows=10, relu=relu)
    for rows in (0, 1, 10, 33):
        x = torch.randn(rows, 48)
        expected = linear(x)
        torch.testing.assert_close(fused(x), F.relu(expected) if relu else expected)


@torch.inference_mode()
def test_a_product_of_matrices_is_the_product() -> None:
    for shape in ((36, 36, 70), (16, 36, 1), (3, 1, 5)):
        one, other = torch.randn(shape[:2]), torch.randn(shape[1:])
        torch.testing.assert_close(product(one, other), one @ other)
    lines = torch.randn(5, 2, 3).transpose(0, 1).reshape(2, 15)[:, ::3]
    torch.testing.assert_close(product(torch.eye(2), lines), lines)


@torch.inference_mode()
def test_a_fused_body_and_head_give_the_same_numbers_and_leave_their_input_alone() -> None:
    torch.manual_seed(0)
    body = Body(depths=(2, 3, 1), groups=2, group_width=3, stem_dim=4, stage_dim=8).eval()
    body.fold_batch_norms()
    body.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixels = torch.randn(1, 3, 64, 96)
    kept, expected = pixels.clone(), body(pixels)
    body.fuse()
    for one, other in zip(body(pixels), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert pixels.equal(kept)
    head = BoxHead(width=2, feature_dim=6, num_classes=5)
    pooled = torch.randn(7, 98)
    before = head(pooled)
    head.fuse()
    for one, other in zip(head(pooled), before, strict=True):
        torch.testing.assert_close(one, other)
