"""The published weights: a pickle of PyTorch or safetensors, under the names of the original.

The pickle is ``{"model": {name: tensor}, ...}``. Each name may begin with ``module.``, which
training on several GPUs leaves behind. Names that the network does not know are passed over, as
the original does (heads for attributes, settings of the optimiser), but none may be missing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.pickles import load_published
from openmmb.vision.detector.faster_rcnn import FasterRCNN, Shape
from openmmb.vision.detector.proposals import STRIDES, cell_anchors

_PARALLEL: Final = "module."
_PUBLISHED: Final = {  # how names begin here -> there; the first that fits counts
    "body.": "backbone.body.",
    "pyramid.": "backbone.fpn.",
    "proposals.": "rpn.head.",
    "head.cls_score.": "roi_heads.box.predictor.cls_score.",
    "head.": "roi_heads.box.feature_extractor.",
}
_GROUPED: Final = "backbone.body.layer1.0.conv2.weight"


def load_faster_rcnn(path: Path, shape: Shape) -> FasterRCNN:
    """Build the network with the weights of a file, as float32 and in evaluation mode.

    Raises:
        CheckpointError: The file is missing or damaged, or holds another network.
    """
    weights = _read(path)
    with torch.device("meta"):
        network = FasterRCNN(shape)
    names = {name: _published(name) for name in network.state_dict()}
    _check_body(weights, shape, path)
    _check_shapes(weights, _expected(network, names, shape), path)
    _check_anchors(weights, path)
    state = {name: weights[published].float() for name, published in names.items()}
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(requires_grad=False).eval()


def _read(path: Path) -> dict[str, Tensor]:
    state = load_published(path, what="the detector's weights")
    named = state.get("model", state) if isinstance(state, Mapping) else state
    if not isinstance(named, Mapping) or not named:
        raise CheckpointError(f"{path}: holds a {type(named).__name__}, expected named weights")
    weights = {str(name): value for name, value in named.items() if isinstance(value, Tensor)}
    if all(name.startswith(_PARALLEL) for name in weights):
        return {name.removeprefix(_PARALLEL): tensor for name, tensor in weights.items()}
    return weights


def _published(name: str) -> str:
    here = next(prefix for prefix in _PUBLISHED if name.startswith(prefix))
    return _PUBLISHED[here] + name.removeprefix(here)


def _expected(
    network: FasterRCNN, names: Mapping[str, str], shape: Shape
) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight that the file must have."""
    expected = {names[name]: tuple(w.shape) for name, w in network.state_dict().items()}
    boxes = "roi_heads.box.predictor.bbox_pred"  # of no use here, but a whole file has them
    expected[f"{boxes}.weight"] = (4 * shape.num_classes, shape.feature_dim)
    expected[f"{boxes}.bias"] = (4 * shape.num_classes,)
    return expected


def _check_body(weights: Mapping[str, Tensor], shape: Shape, path: Path) -> None:
    """Tell the detectors apart that were published under one file name."""
    if _GROUPED not in weights or weights[_GROUPED].dim() != 4:
        return
    inner, group_width = weights[_GROUPED].shape[:2]
    groups = inner // max(1, group_width)
    third = [name for name in weights if name.startswith("backbone.body.layer3.")]
    depth = len({name.split(".")[3] for name in third})
    if (groups, group_width, depth) != (shape.groups, shape.group_width, shape.depths[2]):
        raise CheckpointError(
            f"{path}: a ResNeXt {groups}x{group_width}d with {depth} blocks in its third stage, "
            f"expected {shape.groups}x{shape.group_width}d with {shape.depths[2]}; "
            "MMF published another detector under the same file name, X-101 64x4d"
        )


def _check_shapes(
    weights: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], path: Path
) -> None:
    missing = sorted(expected.keys() - weights.keys())
    if missing:
        names = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise CheckpointError(
            f"{path}: lacks {len(missing)} of the detector's {len(expected)} weights: {names}"
        )
    for name, size in expected.items():
        if tuple(weights[name].shape) != size:
            raise CheckpointError(
                f"{path}: {name} is {tuple(weights[name].shape)}, expected {size}"
            )
        if not weights[name].is_floating_point():
            raise CheckpointError(f"{path}: {name} is {weights[name].dtype}, expected floats")


def _check_anchors(weights: Mapping[str, Tensor], path: Path) -> None:
    """See that the anchors, which need not be in the file, are those that are computed here."""
    for level, stride in enumerate(STRIDES):
        name = f"rpn.anchor_generator.cell_anchors.{level}"
        expected = cell_anchors(stride)
        if name in weights and not torch.equal(weights[name].float(), expected):
            raise CheckpointError(
                f"{path}: {name} is {weights[name].tolist()}, expected {expected.tolist()}"
            )
