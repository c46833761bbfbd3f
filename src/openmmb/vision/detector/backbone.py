"""The body: ResNeXt, whose stages look at the picture ever more coarsely.

The network of Xie et al., "Aggregated Residual Transformations for Deep Neural Networks" (2017),
with its stride in the 3 x 3 convolution. The modules keep the names of the published weights.

Sizes: H x W is the canvas.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from openmmb.vision.detector.fused import FusedConv


class Body(nn.Module):
    """The stem and four stages.

    Args:
        depths: Blocks of each stage.
        groups: Groups of each 3 x 3 convolution.
        group_width: Channels of a group in the first stage; each further stage has twice as many.
        stem_dim: Channels of the stem.
        stage_dim: Channels that the first stage gives; each further stage twice as many.
    """

    def __init__(
        self, *, depths: Sequence[int], groups: int, group_width: int, stem_dim: int, stage_dim: int
    ) -> None:
        super().__init__()
        self.stem = _Stem(stem_dim)
        self._stages = [f"layer{number}" for number in range(1, len(depths) + 1)]
        inputs = stem_dim
        for stage, (name, depth) in enumerate(zip(self._stages, depths, strict=True)):
            inner, outputs = groups * group_width << stage, stage_dim << stage
            blocks = nn.Sequential()
            for position in range(depth):
                stride = 2 if stage > 0 and position == 0 else 1
                blocks.append(_Block(inputs, inner, outputs, groups, stride))
                inputs = outputs
            self.add_module(name, blocks)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(1, 3, H, W) -> a grid (1, channels, H / 4, W / 4) and three, each half as fine."""
        grid = self.stem(pixels)
        grids = []
        for name in self._stages:
            grid = self.get_submodule(name)(grid)
            grids.append(grid)
        return grids

    def fold_batch_norms(self) -> None:
        """Put each batch norm into the convolution before it: same outputs, less work.

        For inference only: it also renames the weights (each convolution gets a bias).
        """
        for module in self.modules():
            if isinstance(module, _Stem | _Block):
                module.fold_batch_norms()

    def fuse(self) -> None:
        """Put what follows a convolution into it; for a CPU, without batch norms."""
        for name in self._stages:
            blocks = self.get_submodule(name)
            for number, block in blocks.named_children():
                if isinstance(block, _Block):
                    blocks.add_module(number, _FusedBlock(block))


class FrozenBatchNorm(nn.Module):
    """A batch norm that no longer learns; unlike others it adds nothing to the variance."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    eps = 0.0

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(width))
        self.register_buffer("bias", torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, grid: Tensor) -> Tensor:
        """(1, width, h, w) -> the same shape."""
        mean, var = self.running_mean, self.running_var
        return F.batch_norm(grid, mean, var, self.weight, self.bias, eps=self.eps)


class _Stem(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1: nn.Module = FrozenBatchNorm(width)

    def forward(self, pixels: Tensor) -> Tensor:
        """(1, 3, H, W) -> (1, width, H / 4, W / 4)."""
        grid = F.relu_(self.bn1(self.conv1(pixels)))
        return F.max_pool2d(grid, kernel_size=3, stride=2, padding=1)

    def fold_batch_norms(self) -> None:
        self.conv1, self.bn1 = _fold(self.conv1, self.bn1)


class _Block(nn.Module):
    """Bottleneck: narrow, filter in groups, widen, add the input."""

    def __init__(self, inputs: int, inner: int, outputs: int, groups: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inner, kernel_size=1, bias=False)
        self.bn1: nn.Module = FrozenBatchNorm(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2: nn.Module = FrozenBatchNorm(inner)
        self.conv3 = nn.Conv2d(inner, outputs, kernel_size=1, bias=False)
        self.bn3: nn.Module = FrozenBatchNorm(outputs)
        self.downsample = nn.Sequential()
        if inputs != outputs:
            self.downsample.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.downsample.append(FrozenBatchNorm(outputs))

    def forward(self, grid: Tensor) -> Tensor:
        """(1, inputs, h, w) -> (1, outputs, h / stride, w / stride)."""
        inner = F.relu_(self.bn1(self.conv1(grid)))
        inner = F.relu_(self.bn2(self.conv2(inner)))
        return F.relu_(self.bn3(self.conv3(inner)).add_(self.downsample(grid)))

    def fold_batch_norms(self) -> None:
        self.conv1, self.bn1 = _fold(self.conv1, self.bn1)
        self.conv2, self.bn2 = _fold(self.conv2, self.bn2)
        self.conv3, self.bn3 = _fold(self.conv3, self.bn3)
        if self.downsample:
            self.downsample = nn.Sequential(*_fold(*self.downsample))


class _FusedBlock(nn.Module):
    """The same without batch norms, in four passes over its grids at most."""

    def __init__(self, block: _Block) -> None:
        super().__init__()
        self.conv1, self.conv2 = (FusedConv(conv, relu=True) for conv in (block.conv1, block.conv2))
        self.conv3 = FusedConv(block.conv3)
        self.downsample = nn.Sequential(
            *(FusedConv(one) for one in block.downsample if isinstance(one, nn.Conv2d))
        )

    def forward(self, grid: Tensor) -> Tensor:
        """(1, inputs, h, w) -> (1, outputs, h / stride, w / stride), maybe in the same memory."""
        inner = self.conv2(self.conv1(grid))
        return self.conv3.add_to(self.downsample(grid), inner)


def _fold(conv: nn.Module, batch_norm: nn.Module) -> tuple[nn.Conv2d, nn.Module]:
    fused = fuse_conv_bn_eval(conv, batch_norm)  # type: ignore[type-var, arg-type]
    return fused, nn.Identity()  # type: ignore[return-value]
