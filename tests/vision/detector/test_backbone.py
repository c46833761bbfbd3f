"""The body halves its grids stage by stage, and folding its batch norms changes no number."""

import torch

from openmmb.vision.detector.backbone import Body, FrozenBatchNorm


def tiny_body() -> Body:
    body = Body(depths=(1, 2, 1), groups=2, group_width=3, stem_dim=4, stage_dim=8).eval()
    for module in body.modules():
        if isinstance(module, FrozenBatchNorm):
            for buffer in module.buffers():
                buffer.uniform_(0.5, 1.5)
    return body


def test_each_stage_doubles_the_channels_and_halves_the_grid() -> None:
    grids = tiny_body()(torch.randn(1, 3, 64, 96))
    assert [tuple(grid.shape) for grid in grids] == [(1, 8, 16, 24), (1, 16, 8, 12), (1, 32, 4, 6)]


def test_the_stride_is_in_the_convolution_of_the_groups() -> None:
    body = tiny_body()
    strides = {
        name: module.stride
        for name, module in body.named_modules()
        if isinstance(module, torch.nn.Conv2d) and name.startswith("layer2.0.")
    }
    assert strides.pop("layer2.0.conv2") == (2, 2)
    assert strides.pop("layer2.0.downsample.0") == (2, 2)
    assert set(strides.values()) == {(1, 1)}


def test_a_frozen_batch_norm_adds_nothing_to_the_variance() -> None:
    norm = FrozenBatchNorm(1)
    norm.running_var.fill_(1e-6)
    norm.running_mean.fill_(3.0)
    norm.weight.fill_(2.0)
    norm.bias.fill_(5.0)
    found = norm(torch.full((1, 1, 1, 1), 3.001))
    torch.testing.assert_close(found, torch.full((1, 1, 1, 1), 7.0), atol=1e-3, rtol=0)


def test_folding_does_not_change_the_numbers() -> None:
    body = tiny_body()
    pixels = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before = body(pixels)
        body.fold_batch_norms()
        after = body(pixels)
    assert not [module for module in body.modules() if isinstance(module, FrozenBatchNorm)]
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
