"""The network and its preprocessing give torchvision's numbers, and refuse other weights."""

import hashlib
import json
import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from openmmb.errors import CheckpointError
from openmmb.vision.resnext import GridReader, ResNeXt, Shape, load_resnext, preprocess

RECORDED = json.loads((Path(__file__).parent / "data" / "resnext.json").read_text())
"""From torchvision 0.29.1, its ResNet with these synthetic weights and its transforms."""
SHAPE = Shape(4, groups=4, blocks=(1, 1, 2, 1))
"""Of the network that torchvision's numbers were recorded from."""
TINY = Shape(2, groups=2, blocks=(1, 1, 1, 1), stem_dim=4)


def synthetic(name: str, shape: tuple[int, ...]) -> Tensor:
    """A weight that depends on its name alone."""
    numbers = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) == 4:
        numbers = numbers * (2 / np.prod(shape[1:])) ** 0.5
    elif name.endswith("var"):
        numbers = np.exp(0.1 * numbers)
    else:
        numbers = name.endswith("weight") + 0.1 * numbers
    return torch.tensor(numbers, dtype=torch.float32)


def synthetic_weights(shape: Shape) -> dict[str, Tensor]:
    """Weights as they are published, with the classifier and without counters."""
    with torch.device("meta"):
        expected = ResNeXt(shape).state_dict()
    names = {n: tuple(t.shape) for n, t in expected.items() if not n.endswith("tracked")}
    names |= {"fc.weight": (5, shape.feature_dim), "fc.bias": (5,)}
    return {name: synthetic(name, sizes) for name, sizes in names.items()}


def waves() -> Tensor:
    """A picture (1, 3, 224, 224) from a formula, with no symmetry that could hide a mistake."""
    c = torch.arange(3, dtype=torch.float64).view(3, 1, 1)
    y = torch.arange(224, dtype=torch.float64).view(224, 1)
    x = torch.arange(224, dtype=torch.float64)
    down = torch.sin(0.05 * (c + 1) * y + 0.3 * c)
    across = torch.cos(0.04 * x - 0.002 * x * y / (c + 1))
    return (down * across).float()[None]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic weights, in the format that PyTorch had when the real ones were published."""
    path = tmp_path_factory.mktemp("weights") / "recorded.pth"
    torch.save(synthetic_weights(SHAPE), path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="module")
def tiny() -> dict[str, Tensor]:
    return synthetic_weights(TINY)


@pytest.mark.parametrize("form", ["pooled", "pooled_parlai", "spatial", "spatial_parlai"])
def test_the_numbers_are_those_of_torchvision(path: Path, form: str):
    reading = GridReader(
        load_resnext(path, SHAPE), spatial="spatial" in form, parlai="parlai" in form
    )
    with torch.inference_mode():
        vectors = reading(waves())[0]
    assert vectors.shape == (49 if "spatial" in form else 1, SHAPE.feature_dim)
    found = {
        "vector_means": vectors.mean(1),
        "every_40th_mean_of_feature": vectors.mean(0)[::40],
        "last_vector": vectors[-1, 1000:1040],
    }
    for key, numbers in found.items():
        expected = torch.tensor(RECORDED[form][key])
        torch.testing.assert_close(numbers, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("group_width", [8, 16, 32, 48])
def test_names_and_shapes_of_the_published_networks_are_those_of_torchvision(group_width: int):
    with torch.device("meta"):
        state = ResNeXt(Shape(group_width)).state_dict()
    text = "\n".join(f"{name} {tuple(tensor.shape)}" for name, tensor in sorted(state.items()))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert digest == RECORDED["networks"][str(group_width)]
    assert str(Shape(group_width)) == f"resnext101_32x{group_width}d"
    assert Shape(group_width).feature_dim == 2048


def test_the_mean_of_the_places_is_the_pooled_vector(path: Path):
    network = load_resnext(path, SHAPE)
    with torch.inference_mode():
        places = GridReader(network, spatial=True)(waves())
        pooled = GridReader(network)(waves())
    torch.testing.assert_close(places.mean(1, keepdim=True), pooled)


def test_places_go_row_by_row(tiny: dict[str, Tensor], tmp_path: Path):
    torch.save(tiny, tmp_path / "tiny.pth")
    reading = GridReader(load_resnext(tmp_path / "tiny.pth", TINY), spatial=True)
    pixels = torch.zeros(1, 3, 224, 224)
    changed = pixels.clone()
    changed[..., :32, 192:] = 1.0  # the top right corner
    with torch.inference_mode():
        change = (reading(changed) - reading(pixels)).abs().sum(-1)
    grid = change.view(7, 7)
    assert grid[:3, 4:].sum() > 10 * grid[4:, :3].sum()


def test_both_file_formats_give_the_same_network(tiny: dict[str, Tensor], tmp_path: Path):
    torch.save(tiny, tmp_path / "a.pth")
    save_file(tiny, tmp_path / "a.safetensors")
    networks = [load_resnext(tmp_path / f"a.{kind}", TINY) for kind in ("pth", "safetensors")]
    with torch.inference_mode():
        assert torch.equal(networks[0](waves()), networks[1](waves()))
    assert not networks[0].training


def test_counters_of_batches_and_half_precision_are_no_matter(
    tiny: dict[str, Tensor], tmp_path: Path
):
    half = {name: tensor.half() for name, tensor in tiny.items()}
    half |= {"bn1.num_batches_tracked": torch.tensor(7)}
    save_file(half, tmp_path / "half.safetensors")
    network = load_resnext(tmp_path / "half.safetensors", TINY)
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_a_network_of_another_width_is_refused(tiny: dict[str, Tensor], tmp_path: Path):
    path = tmp_path / "a.safetensors"
    save_file(tiny, path)
    other = Shape(4, groups=2, blocks=(1, 1, 1, 1), stem_dim=4)
    with pytest.raises(CheckpointError) as caught:
        load_resnext(path, other)
    assert str(caught.value) == (
        f"{path}: holds the weights of resnext14_2x2d, expected those of resnext14_2x4d"
    )
    deeper = {**tiny, "layer3.1.conv1.weight": torch.zeros(1, 1, 1, 1)}
    save_file(deeper, path)
    with pytest.raises(
        CheckpointError, match=r"of resnext17_2x2d, expected those of resnext14_2x2d$"
    ):
        load_resnext(path, TINY)


def test_weights_that_do_not_fit_are_refused_in_one_line(tiny: dict[str, Tensor], tmp_path: Path):
    lacking = {name: tensor for name, tensor in tiny.items() if name != "bn1.bias"}
    cases = {
        'Missing key.*"bn1.bias"': lacking,
        'Unexpected key.*"classifier"': {**tiny, "classifier": torch.zeros(1)},
        "size mismatch for bn1.bias": {**tiny, "bn1.bias": torch.zeros(9)},
        "Missing key.*conv1.weight": {"embeddings": torch.zeros(2, 2)},
        "size mismatch for layer1": {**tiny, "layer1.0.conv2.weight": torch.zeros(3)},
    }
    for reason, state in cases.items():
        save_file(state, tmp_path / "a.safetensors")
        with pytest.raises(
            CheckpointError, match=f"not the weights of resnext14_2x2d: {reason}"
        ) as caught:
            load_resnext(tmp_path / "a.safetensors", TINY)
        assert "\n" not in str(caught.value)


def test_files_that_are_no_weights_are_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"none\.pth: no such file;"):
        load_resnext(tmp_path / "none.pth", TINY)
    with pytest.raises(CheckpointError, match="not a file;"):
        load_resnext(tmp_path, TINY)
    for content, reason in (([1], "holds a list"), ({"a": 1}, "a is a int, expected a tensor")):
        torch.save(content, tmp_path / "a.pth")
        with pytest.raises(CheckpointError, match=reason):
            load_resnext(tmp_path / "a.pth", TINY)
    (tmp_path / "a.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(CheckpointError, match="not safetensors"):
        load_resnext(tmp_path / "a.safetensors", TINY)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path):
    trap = tmp_path / "sprung"
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"conv1.weight": Trap(trap)}))
    torch.save({"conv1.weight": Trap(trap)}, tmp_path / "b.pth")
    for name in ("a.pth", "b.pth"):
        with pytest.raises(CheckpointError, match="code to run, which is refused"):
            load_resnext(tmp_path / name, TINY)
    assert not trap.exists()


@given(st.binary(max_size=100), st.sampled_from([b"", b"PK\3\4", b"\x80\x02"]))
def test_noise_is_no_file_of_weights(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, start: bytes
):
    path = tmp_path_factory.getbasetemp() / "noise.pth"
    path.write_bytes(start + noise)
    with pytest.raises(CheckpointError) as caught:
        load_resnext(path, TINY)
    assert "\n" not in str(caught.value)


def test_preprocessing_is_that_of_torchvision():
    draw = np.random.default_rng(0)
    for picture in RECORDED["preprocessing"]:
        width, height = picture["size"]
        image = Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8))
        pixels = preprocess([image])[0]
        corners = torch.stack([pixels[:, 0, 0], pixels[:, 111, 57], pixels[:, 223, 223]]).flatten()
        torch.testing.assert_close(corners, torch.tensor(picture["corners"]), atol=1e-5, rtol=0)
        assert pixels.mean().item() == pytest.approx(picture["mean"], abs=1e-5)


def plain(image: Image.Image) -> Tensor:
    """What ``preprocess`` does, step by step, for pictures that are not very long."""
    width, height = image.size
    shorter = min(width, height)
    size = int(256 * width / shorter), int(256 * height / shorter)
    array = np.asarray(image.resize(size, Image.Resampling.BILINEAR), dtype=np.float32) / 255
    top, left = round((array.shape[0] - 224) / 2), round((array.shape[1] - 224) / 2)
    square = array[top : top + 224, left : left + 224]
    return torch.from_numpy((square - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).permute(
        2, 0, 1
    )


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 9))
def test_preprocessing_is_its_plain_twin(width: int, height: int, seed: int):
    width, height = min(width, 16 * height), min(height, 16 * width)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    found = preprocess([image])[0].double()
    torch.testing.assert_close(found, plain(image).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(1, 3_000_000), (3_000_000, 1), (5000, 40)])
def test_of_a_very_long_picture_the_middle_is_seen(size: tuple[int, int]):
    image = Image.new("RGB", size, "white")
    image.paste((0, 0, 0), (0, 0, size[0] // 3, size[1] // 3))
    pixels = preprocess([image])
    assert pixels.shape == (1, 3, 224, 224)
    assert torch.equal(pixels, preprocess([Image.new("RGB", (9, 9), "white")]))
