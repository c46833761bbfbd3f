"""A small detector with weights made from their names, and a picture for it."""

import zlib

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from openmmb.vision.detector.faster_rcnn import Shape

TINY = Shape(
    depths=(1, 2, 2, 1),
    groups=4,
    group_width=2,
    stem_dim=8,
    stage_dim=16,
    pyramid_dim=16,
    feature_dim=64,
    num_classes=41,
)


def picture(*, width: int = 451, height: int = 300, seed: int = 0) -> Image.Image:
    """An RGB pattern of large and small squares, the same on every machine."""
    draw = np.random.RandomState(seed)
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    for side in (75, 10):
        coarse = draw.randint(0, 128, (-(-height // side), -(-width // side), 3), dtype=np.uint8)
        pixels += coarse.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]
    return Image.fromarray(pixels)


def published_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Name and sizes of every weight in the published file, without the anchors."""
    sizes: dict[str, tuple[int, ...]] = {}

    def add_norm(name: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            sizes[f"{name}.{part}"] = (width,)

    def add_layer(name: str, *size: int) -> None:
        sizes[f"{name}.weight"] = size
        sizes[f"{name}.bias"] = size[:1]

    body, fpn = "backbone.body", "backbone.fpn"
    sizes[f"{body}.stem.conv1.weight"] = (shape.stem_dim, 3, 7, 7)
    add_norm(f"{body}.stem.bn1", shape.stem_dim)
    inputs = shape.stem_dim
    for stage, depth in enumerate(shape.depths):
        group, outputs = shape.group_width * 2**stage, shape.stage_dim * 2**stage
        inner = shape.groups * group
        for position in range(depth):
            block = f"{body}.layer{stage + 1}.{position}"
            if position == 0:
                sizes[f"{block}.downsample.0.weight"] = (outputs, inputs, 1, 1)
                add_norm(f"{block}.downsample.1", outputs)
            sizes[f"{block}.conv1.weight"] = (inner, inputs, 1, 1)
            sizes[f"{block}.conv2.weight"] = (inner, group, 3, 3)
            sizes[f"{block}.conv3.weight"] = (outputs, inner, 1, 1)
            for number, width in ((1, inner), (2, inner), (3, outputs)):
                add_norm(f"{block}.bn{number}", width)
            inputs = outputs
        add_layer(f"{fpn}.fpn_inner{stage + 1}", shape.pyramid_dim, outputs, 1, 1)
        add_layer(f"{fpn}.fpn_layer{stage + 1}", shape.pyramid_dim, shape.pyramid_dim, 3, 3)
    width, features, classes = shape.pyramid_dim, shape.feature_dim, shape.num_classes
    add_layer("rpn.head.conv", width, width, 3, 3)
    add_layer("rpn.head.cls_logits", 3, width, 1, 1)
    add_layer("rpn.head.bbox_pred", 12, width, 1, 1)
    add_layer("roi_heads.box.feature_extractor.fc6", features, width * 49)
    add_layer("roi_heads.box.feature_extractor.fc7", features, features)
    add_layer("roi_heads.box.predictor.cls_score", classes, features)
    add_layer("roi_heads.box.predictor.bbox_pred", 4 * classes, features)
    return sizes


def published_weights(shape: Shape = TINY) -> dict[str, Tensor]:
    """Weights under their published names; what each is depends on its name alone."""
    return {name: _weight(name, size) for name, size in published_shapes(shape).items()}


def _weight(name: str, size: tuple[int, ...]) -> Tensor:
    draw = np.random.RandomState(zlib.crc32(name.encode()))
    if len(size) == 1 and name.endswith(("weight", "running_var")):
        scale = 0.3 if ".bn3.weight" in name else 1.0
        values = draw.uniform(0.8 * scale, 1.2 * scale, size)
    elif len(size) == 1:
        values = draw.normal(0, 0.1, size)
    else:
        gain = {"stem": 0.02, "cls_logits": 0.6, "bbox_pred": 0.4, "fpn": 1.0, "cls_score": 1.0}
        scale = next((gain[part] for part in gain if part in name), 2**0.5)
        values = draw.normal(0, scale / np.prod(size[1:]) ** 0.5, size)
    return torch.from_numpy(values.astype(np.float32))
