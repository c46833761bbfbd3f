"""The network gives the numbers of another implementation of it, in whatever form it runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from openmmb.pickles import load_pickle
from openmmb.vision.efficientnet import (
    FEATURE_DIM,
    NUM_VECTORS,
    EfficientNetLite0,
    load_efficientnet,
    load_object_head,
    preprocess,
    weights_path,
)

RECORDED = json.loads((Path(__file__).parent / "data" / "efficientnet_lite0.json").read_text())


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return load_efficientnet()


def waves() -> Tensor:
    """A picture (1, 3, 224, 224) from a formula, with no symmetry that could hide a mistake."""
    c = torch.arange(3, dtype=torch.float64).view(3, 1, 1)
    y = torch.arange(224, dtype=torch.float64).view(224, 1)
    x = torch.arange(224, dtype=torch.float64)
    down = torch.sin(0.05 * (c + 1) * y + 0.3 * c)
    across = torch.cos(0.04 * x - 0.002 * x * y / (c + 1))
    return (down * across).float()[None]


def test_the_numbers_are_the_recorded_ones(network: EfficientNetLite0):
    with torch.inference_mode():
        vectors = network(waves())
    assert vectors.shape == (1, NUM_VECTORS, FEATURE_DIM)
    found = {
        "position_means": vectors[0].mean(1),
        "first_position": vectors[0, 0, :64],
        "row_of_last_position": vectors[0, 48, 640:704],
        "every_10th_mean_of_feature": vectors[0].mean(0)[::10],
    }
    for key, numbers in found.items():
        torch.testing.assert_close(numbers, torch.tensor(RECORDED[key]), atol=1e-4, rtol=0)


def test_folding_and_memory_format_do_not_change_the_numbers(network: EfficientNetLite0):
    folded = load_efficientnet()
    folded.fold_batch_norms()
    folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixels = torch.cat([waves(), -waves()])
    with torch.inference_mode():
        torch.testing.assert_close(folded(pixels), network(pixels), atol=2e-4, rtol=0)
        torch.testing.assert_close(folded(pixels)[1:], folded(pixels[1:]), atol=2e-4, rtol=0)


def test_positions_go_row_by_row(network: EfficientNetLite0):
    pixels = torch.zeros(1, 3, 224, 224)
    changed = pixels.clone()
    changed[..., :32, 192:] = 1.0  # the top right corner
    with torch.inference_mode():
        change = (network(changed) - network(pixels)).abs().sum(-1)
    grid = change.view(7, 7)
    assert grid[:3, 4:].sum() > 10 * grid[4:, :3].sum()


@pytest.mark.parametrize(
    ("number", "label"),
    [(2, "great white shark"), (386, "African bush elephant"), (779, "school bus")],
)
def test_the_head_names_its_classes(number: int, label: str):
    weights = load_pickle(weights_path())["_fc.weight"][number]
    (best, *_) = load_object_head().words(weights.expand(NUM_VECTORS, -1) * 20)
    assert best.label == label
    assert best.probability > 0.9


def test_the_network_can_be_trained():
    network = load_efficientnet()
    network(waves()).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_preprocessing_of_a_picture_of_that_size_only_normalises():
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    expected = (torch.from_numpy(pixels).permute(2, 0, 1).float() - 127) / 128
    assert torch.equal(preprocess([Image.fromarray(pixels)])[0], expected)


def test_preprocessing_keeps_the_whole_picture():
    wide = Image.new("RGB", (640, 48), "black")
    wide.paste((255, 255, 255), (0, 0, 20, 48))
    wide.paste((255, 255, 255), (620, 0, 640, 48))
    pixels = preprocess([wide, Image.new("RGB", (1, 1), "black")])
    assert pixels.shape == (2, 3, 224, 224)
    assert pixels[0, 0, 112, [0, -1]].tolist() == [1.0, 1.0]
    assert pixels[0, 0, 112, 112] == pytest.approx(-127 / 128)
