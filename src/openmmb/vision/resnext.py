"""ResNeXt-101 of the "WSL" kind, two of the three picture encoders of Multi-Modal BlenderBot.

The network of Xie et al., "Aggregated Residual Transformations for Deep Neural Networks" (2017),
which Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining" (2018), trained on 940
million public pictures by their hashtags. The modules keep the parameter names of torchvision's
ResNet, in which the weights are published (CC-BY-NC 4.0: not for commercial use).

Sizes: B pictures, I = 49 cells of the 7 x 7 grid or 1, F = 2048 features of each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from openmmb.errors import CheckpointError, shorten
from openmmb.pickles import load_published

SIDE: Final = 224
"""Height and width of the pictures that the network was trained on."""

NUM_CELLS: Final = 49
"""I of the whole grid."""

PUBLISHED: Final = {
    8: "https://download.pytorch.org/models/ig_resnext101_32x8-c38310e5.pth",
    16: "https://download.pytorch.org/models/ig_resnext101_32x16-c6f796b0.pth",
    32: "https://download.pytorch.org/models/ig_resnext101_32x32-e4b90b00.pth",
    48: "https://download.pytorch.org/models/ig_resnext101_32x48-3e41cc8a.pth",
}
"""Where the weights are, by group width."""

PREPROCESSING: Final = "rgb; shorter side to 256, bilinear; middle 224x224; ImageNet mean and std"
"""What ``preprocess`` does; part of the encoder's fingerprint, so change both together."""

_SHORTER_SIDE: Final = 256
_MEAN: Final = (0.485, 0.456, 0.406)
_STD: Final = (0.229, 0.224, 0.225)
_LONGEST: Final = 16
"""Longer side of what is resized, in shorter sides."""
_COUNTER: Final = ".num_batches_tracked"
"""Ends the names of numbers that only training reads; some files have them and some do not."""


@dataclass(frozen=True)
class Shape:
    """What tells one ResNeXt from another.

    Attributes:
        group_width: Channels of a group in the first stage; the published ones have 8, 16, 32, 48.
        groups: Of every 3 x 3 convolution.
        blocks: Of each stage.
        stem_dim: Channels before the first stage.
    """

    group_width: int
    groups: int = 32
    blocks: tuple[int, ...] = (3, 4, 23, 3)
    stem_dim: int = 64

    @property
    def feature_dim(self) -> int:
        """F."""
        return 4 * self.stem_dim << (len(self.blocks) - 1)

    def __str__(self) -> str:
        return f"resnext{2 + 3 * sum(self.blocks)}_{self.groups}x{self.group_width}d"


class ResNeXt(nn.Module):
    """The network up to its last grid of features; the classifier is left out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, shape.stem_dim, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(shape.stem_dim)
        width = shape.stem_dim
        for stage, count in enumerate(shape.blocks):
            inner = (shape.groups * shape.group_width) << stage
            output = (4 * shape.stem_dim) << stage
            blocks = nn.Sequential()
            for position in range(count):
                stride = 2 if stage > 0 and position == 0 else 1
                blocks.append(_Bottleneck(width, inner, output, stride, shape.groups))
                width = output
            self.add_module(f"layer{stage + 1}", blocks)
        self._num_stages = len(shape.blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        """Turn pixels (B, 3, 224, 224) from ``preprocess`` into the grid (B, F, 7, 7)."""
        grid = F.relu(self.bn1(self.conv1(pixels)), inplace=True)
        grid = F.max_pool2d(grid, kernel_size=3, stride=2, padding=1)
        for stage in range(self._num_stages):
            grid = self.get_submodule(f"layer{stage + 1}")(grid)
        return grid


class _Bottleneck(nn.Module):
    """Narrow, look around group by group, widen, and add what came in."""

    def __init__(self, width: int, inner: int, output: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, output, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(output)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or width != output:
            self.downsample = nn.Sequential(
                nn.Conv2d(width, output, 1, stride, bias=False), nn.BatchNorm2d(output)
            )

    def forward(self, grid: Tensor) -> Tensor:
        """(B, width, side, side) -> (B, output, side / stride, side / stride)."""
        inner = F.relu(self.bn1(self.conv1(grid)), inplace=True)
        inner = F.relu(self.bn2(self.conv2(inner)), inplace=True)
        wide: Tensor = self.bn3(self.conv3(inner))
        return F.relu(wide + self.downsample(grid), inplace=True)


@dataclass(frozen=True)
class GridReader:
    """How the grid of a network becomes image vectors.

    Attributes:
        network: Yields the grid, in evaluation mode.
        spatial: One vector a cell, row by row, instead of their mean.
        parlai: As ParlAI read it, which models trained with its vectors need. Its network stayed in
            training mode, so that each batch norm used the statistics of the one picture that it
            was shown; and its spatial vectors were cut from the grid without turning it first, so
            that each holds some 42 channels of all cells instead of all channels of one cell.
    """

    network: ResNeXt
    spatial: bool = False
    parlai: bool = False

    def __post_init__(self) -> None:
        if self.parlai:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.track_running_stats = False  # or every picture would change the network
                    module.train()

    def __call__(self, pixels: Tensor) -> Tensor:
        """Turn pixels (B, 3, 224, 224) into (B, I, F)."""
        if not self.parlai:
            return self._read(self.network(pixels))
        # One at a time: the other pictures of a batch would change the statistics.
        return torch.cat([self._read(self.network(picture[None])) for picture in pixels])

    def _read(self, grid: Tensor) -> Tensor:
        if not self.spatial:
            return grid.mean((2, 3))[:, None]
        if self.parlai:
            return grid.contiguous().view(len(grid), -1, grid.shape[1])
        return grid.flatten(2).transpose(1, 2)

    @property
    def settings(self) -> str:
        """The settings in words, as a part of the encoder's fingerprint."""
        return f"spatial {self.spatial}; parlai {self.parlai}"


def load_resnext(path: Path, shape: Shape) -> ResNeXt:
    """Build a network with its published weights, in evaluation mode.

    Args:
        path: The ``.pth`` file as published, or the same weights as ``.safetensors``.
        shape: What the weights must fit.

    Raises:
        CheckpointError: The file is missing or damaged, or holds the weights of another network.
    """
    state = {
        name: tensor.float()
        for name, tensor in _read_file(path).items()
        if not name.startswith("fc.") and not name.endswith(_COUNTER)
    }
    with torch.device("meta"):
        network = ResNeXt(shape)
    actual = _identify(state)
    if actual is not None and actual != shape:
        raise CheckpointError(f"{path}: holds the weights of {actual}, expected those of {shape}")
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()  # the first one only names the class
        raise CheckpointError(f"{path}: not the weights of {shape}: {shorten(reason)}") from error
    return network.eval()


def preprocess(images: Sequence[Image.Image]) -> Tensor:
    """Turn RGB pictures of any size into pixels (B, 3, 224, 224), float32.

    As torchvision's Resize(256), CenterCrop(224), ToTensor and Normalize do with these pictures.
    """
    squares = np.stack([np.asarray(_middle(image), dtype=np.uint8) for image in images])
    pixels = torch.from_numpy(squares).permute(0, 3, 1, 2).contiguous().to(torch.float32) / 255
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (_MEAN, _STD))
    return (pixels - mean) / std


def _middle(image: Image.Image) -> Image.Image:
    """Resize the shorter side to 256 and keep the middle 224 x 224."""
    # The ends of a very long picture are cut away in any case; resized, they could fill the memory.
    longest = _LONGEST * min(image.size)
    image = _crop(image, min(image.width, longest), min(image.height, longest))
    shorter = min(image.size)
    size = [int(_SHORTER_SIDE * side / shorter) for side in image.size]
    return _crop(image.resize((size[0], size[1]), Image.Resampling.BILINEAR), SIDE, SIDE)


def _crop(image: Image.Image, width: int, height: int) -> Image.Image:
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def _read_file(path: Path) -> dict[str, Tensor]:
    state = load_published(path, what="the network's weights")
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path}: holds a {type(state).__name__}, expected named weights")
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise CheckpointError(f"{path}: {name} is a {type(tensor).__name__}, expected a tensor")
    return dict(state)


def _identify(state: Mapping[str, Tensor]) -> Shape | None:
    """Say which network weights are of; None where they are of no ResNeXt at all."""
    grouped, stem = state.get("layer1.0.conv2.weight"), state.get("conv1.weight")
    if grouped is None or stem is None or grouped.dim() != 4 or 0 in grouped.shape:
        return None
    names = {tuple(name.split(".")[:2]) for name in state if name.startswith("layer")}
    stages = sorted({stage for stage, _ in names})
    return Shape(
        group_width=grouped.shape[1],
        groups=grouped.shape[0] // grouped.shape[1],
        blocks=tuple(sum(stage == name for name, _ in names) for stage in stages),
        stem_dim=stem.shape[0],
    )
