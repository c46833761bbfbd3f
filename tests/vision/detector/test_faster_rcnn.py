"""The whole detector finds the regions that another implementation recorded."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from openmmb.vision.detector.faster_rcnn import X152, FasterRCNN
from openmmb.vision.detector.preprocess import preprocess
from openmmb.vision.detector.regions import NUM_REGIONS, Regions
from openmmb.vision.detector.weights import load_faster_rcnn
from tests.vision.detector.build import TINY, picture, published_shapes, published_weights

RECORDED = load_file(Path(__file__).parent / "data" / "regions.safetensors")
CPU = torch.device("cpu")
SIDES = {"small": (224, 373), "official": (800, 1333)}


@pytest.fixture
def network(tmp_path: Path) -> FasterRCNN:
    save_file(published_weights(), tmp_path / "tiny.safetensors")
    return load_faster_rcnn(tmp_path / "tiny.safetensors", TINY)


def find(network: FasterRCNN, sides: tuple[int, int], image: Image.Image | None = None) -> Regions:
    canvas = preprocess(image or picture(), min_side=sides[0], max_side=sides[1])
    with torch.inference_mode():
        regions: Regions = network(canvas)
    return regions


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("size", sorted(SIDES))
def test_the_regions_are_the_recorded_ones(network: FasterRCNN, size: str, prepared: bool) -> None:
    if prepared:
        network.prepare(CPU, "fp32")
    regions = find(network, SIDES[size])
    boxes = RECORDED[f"{size}.boxes"]
    same = (
        (regions.boxes[:, None] - boxes).abs().amax(-1).argmin(1)
    )  # in another order if nearly tied
    assert sorted(same.tolist()) == list(range(NUM_REGIONS))
    assert (regions.boxes - boxes[same]).abs().max() < 0.05
    assert (regions.features - RECORDED[f"{size}.features"][same]).abs().max() < 1e-2
    assert (regions.confidence - RECORDED[f"{size}.confidence"][same]).abs().max() < 1e-4
    assert torch.equal(regions.classes, RECORDED[f"{size}.classes"][same])


def test_bf16_finds_regions_of_the_same_kind(network: FasterRCNN) -> None:
    network.prepare(CPU, "bf16")
    regions = find(network, SIDES["small"])
    assert regions.features.dtype == torch.float32
    assert regions.num_regions == NUM_REGIONS
    expected = float(RECORDED["small.features"].mean())
    assert float(regions.features.mean()) == pytest.approx(expected, rel=0.1)


def test_a_tiny_canvas_has_fewer_regions(network: FasterRCNN) -> None:
    regions = find(network, (8, 8), picture(width=8, height=8))
    assert 0 < regions.num_regions < NUM_REGIONS
    assert torch.equal(regions.features.any(-1), regions.mask)


def test_the_published_network_has_the_published_sizes() -> None:
    with torch.device("meta"):
        network = FasterRCNN(X152)
    sizes = published_shapes(X152)
    unused = [size for name, size in sizes.items() if "box.predictor.bbox_pred" in name]
    assert len(sizes) == 805
    assert len(network.state_dict()) == len(sizes) - len(unused)
    assert sum(w.numel() for w in network.state_dict().values()) == 206_374_164 - 6404 * 2049
