"""Published files load under either format and any prefix, and what does not fit is refused."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.vision.detector.faster_rcnn import X152, FasterRCNN
from openmmb.vision.detector.proposals import STRIDES, cell_anchors
from openmmb.vision.detector.weights import load_faster_rcnn
from tests.vision.detector.build import TINY, published_weights

WEIGHTS = published_weights()
ANCHORS = {
    f"rpn.anchor_generator.cell_anchors.{level}": cell_anchors(stride)
    for level, stride in enumerate(STRIDES)
}


def write(path: Path, weights: dict[str, Tensor], prefix: str = "") -> Path:
    named = {f"{prefix}{name}": tensor for name, tensor in weights.items()}
    torch.save({"model": named, "iteration": 7, "optimizer": {"state": {}}}, path)
    return path


def load(path: Path) -> FasterRCNN:
    return load_faster_rcnn(path, TINY)


def test_the_original_layout_loads(tmp_path: Path) -> None:
    network = load(write(tmp_path / "a.pth", {**WEIGHTS, **ANCHORS}, prefix="module."))
    state = network.state_dict()
    assert not network.training
    assert not [name for name, weight in network.named_parameters() if weight.requires_grad]
    for here, there in (
        ("body.stem.bn1.running_var", "backbone.body.stem.bn1.running_var"),
        ("body.layer3.1.conv2.weight", "backbone.body.layer3.1.conv2.weight"),
        ("body.layer2.0.downsample.1.bias", "backbone.body.layer2.0.downsample.1.bias"),
        ("pyramid.fpn_layer4.weight", "backbone.fpn.fpn_layer4.weight"),
        ("proposals.cls_logits.bias", "rpn.head.cls_logits.bias"),
        ("head.fc6.weight", "roi_heads.box.feature_extractor.fc6.weight"),
        ("head.cls_score.bias", "roi_heads.box.predictor.cls_score.bias"),
    ):
        assert torch.equal(state[here], WEIGHTS[there])


def bare(folder: Path) -> Path:
    torch.save(WEIGHTS, folder / "bare.pth")
    return folder / "bare.pth"


def old(folder: Path) -> Path:
    torch.save({"model": WEIGHTS}, folder / "old.pth", _use_new_zipfile_serialization=False)
    return folder / "old.pth"


def with_attributes(folder: Path) -> Path:
    extra = {"roi_heads.box.predictor.attr_linear1.weight": torch.ones(3)}
    return write(folder / "attributes.pth", {**WEIGHTS, **extra})


def safe(folder: Path) -> Path:
    save_file({f"module.{name}": w for name, w in WEIGHTS.items()}, folder / "a.safetensors")
    return folder / "a.safetensors"


@pytest.mark.parametrize("make", [bare, old, with_attributes, safe])
def test_other_layouts_give_the_same_network(make: Callable[[Path], Path], tmp_path: Path) -> None:
    expected = load(write(tmp_path / "plain.pth", WEIGHTS)).state_dict()
    found = load(make(tmp_path)).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    half = {name: weight.half() for name, weight in WEIGHTS.items()}
    network = load(write(tmp_path / "half.pth", half))
    assert {weight.dtype for weight in network.state_dict().values()} == {torch.float32}


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as refused:
        load(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    names = ["rpn.head.conv.weight", "roi_heads.box.predictor.bbox_pred.bias"]
    some = {name: weight for name, weight in WEIGHTS.items() if name not in names}
    assert refusal(write(tmp_path / "some.pth", some)).endswith(
        "lacks 2 of the detector's 145 weights: "
        "roi_heads.box.predictor.bbox_pred.bias, rpn.head.conv.weight"
    )
    assert "lacks 145 of" in refusal(write(tmp_path / "none.pth", ANCHORS))


def test_a_misshapen_weight_is_named(tmp_path: Path) -> None:
    name = "backbone.fpn.fpn_inner2.bias"
    path = write(tmp_path / "a.pth", {**WEIGHTS, name: torch.ones(7)})
    assert refusal(path).endswith(f"{name} is (7,), expected (16,)")
    path = write(tmp_path / "b.pth", {**WEIGHTS, name: torch.ones(16, dtype=torch.int64)})
    assert refusal(path).endswith(f"{name} is torch.int64, expected floats")


def test_other_anchors_are_refused(tmp_path: Path) -> None:
    name = "rpn.anchor_generator.cell_anchors.1"
    path = write(tmp_path / "a.pth", {**WEIGHTS, name: ANCHORS[name] + 1})
    assert f"{name} is [[-39.0, " in refusal(path)


def test_the_other_detector_of_that_file_name_is_told_apart(tmp_path: Path) -> None:
    body = "backbone.body"
    weights = {f"{body}.layer3.{block}.conv1.weight": torch.ones(1) for block in range(23)}
    weights[f"{body}.layer1.0.conv2.weight"] = torch.ones(256, 4, 3, 3)
    path = write(tmp_path / "detectron_model.pth", weights, prefix="module.")
    with pytest.raises(CheckpointError) as refused:
        load_faster_rcnn(path, X152)
    assert str(refused.value) == (
        f"{path}: a ResNeXt 64x4d with 23 blocks in its third stage, expected 32x8d with 36; "
        "MMF published another detector under the same file name, X-101 64x4d"
    )


class Code:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path, ("x",)


def test_code_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "code.pth"
    torch.save({"model": Code()}, path)
    assert "code to run, which is refused" in refusal(path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a checkpoint of PyTorch"),
        (b"\x89PNG\r\n", "refused|not a checkpoint"),
        (pickle.dumps({"model": 3}, protocol=2), "refused|not a checkpoint|holds"),
    ],
)
def test_other_files_are_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    assert any(part in refusal(path) for part in reason.split("|"))


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.pth", WEIGHTS)
    path.write_bytes(path.read_bytes()[:1000])
    refusal(path)
    path = safe(tmp_path)
    path.write_bytes(path.read_bytes()[:1000])
    assert "not safetensors" in refusal(path)


def test_what_holds_no_weights_is_refused(tmp_path: Path) -> None:
    torch.save({"model": [1, 2]}, tmp_path / "list.pth")
    assert refusal(tmp_path / "list.pth").endswith("holds a list, expected named weights")
    torch.save({"model": {}}, tmp_path / "empty.pth")
    refusal(tmp_path / "empty.pth")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "nowhere.pth")
    assert "not a file" in refusal(tmp_path)
