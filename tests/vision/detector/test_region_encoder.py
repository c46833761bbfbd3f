"""As a picture encoder the detector keeps the promises of one, and leaves no setting behind."""

import threading
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from openmmb.vision.detector.faster_rcnn import Precision
from openmmb.vision.detector.region_encoder import RegionEncoder, open_faster_rcnn
from openmmb.vision.image_encoder import ImageEncoder
from tests.vision.detector.build import TINY, picture, published_weights

CPU = torch.device("cpu")
WEIGHTS = published_weights()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("detector") / "tiny.pth"
    torch.save({"model": WEIGHTS}, path)
    return path


@pytest.fixture(scope="module")
def encoder(weights: Path) -> RegionEncoder:
    return open_faster_rcnn(weights, CPU, shape=TINY)


def test_it_is_a_picture_encoder(encoder: RegionEncoder) -> None:
    as_any: ImageEncoder = encoder
    vectors = as_any.encode([picture(), picture(width=64, height=200, seed=1)])
    assert as_any.name == "faster_rcnn_x152"
    assert vectors.shape == (2, as_any.num_vectors, as_any.feature_dim) == (2, 100, 64)
    assert (vectors.dtype, vectors.device.type) == (torch.float32, "cpu")
    assert vectors.any(-1).all()
    assert vectors.min() == 0


def test_the_vectors_are_those_of_the_regions_whatever_the_batch(encoder: RegionEncoder) -> None:
    images = [picture(), picture(width=120, height=90, seed=1)]
    vectors = encoder.encode(images)
    for row, image in zip(vectors, images, strict=True):
        assert torch.equal(row, encoder.regions(image).features)


def test_boxes_are_in_pixels_of_the_picture(encoder: RegionEncoder) -> None:
    boxes = encoder.regions(picture(width=120, height=90)).boxes
    assert boxes.min() >= 0
    # The canvas ends up to 31 of its pixels beyond the picture, and so may a box.
    assert boxes[:, [0, 2]].max() <= 120 + 32 * 90 / 800
    assert boxes[:, [1, 3]].max() <= 90 + 32 * 90 / 800


def test_zero_pictures_and_other_modes_are_refused(encoder: RegionEncoder) -> None:
    with pytest.raises(ValueError, match="cannot encode zero pictures"):
        encoder.encode([])
    with pytest.raises(ValueError, match="picture has mode L, expected RGB"):
        encoder.encode([picture(), Image.new("L", (9, 9))])


def test_the_fingerprint_follows_weights_and_precision_but_not_the_file(
    encoder: RegionEncoder, tmp_path: Path
) -> None:
    def fingerprint(changed: dict[str, torch.Tensor], precision: Precision = "fp32") -> str:
        path = tmp_path / "a.safetensors"
        save_file({**WEIGHTS, **changed}, path)
        return open_faster_rcnn(path, CPU, precision=precision, shape=TINY).fingerprint

    name = "rpn.head.conv.bias"
    assert fingerprint({}) == encoder.fingerprint
    assert fingerprint({name: WEIGHTS[name] + 1}) != encoder.fingerprint
    assert fingerprint({}, "bf16") != encoder.fingerprint


def test_the_fingerprint_follows_the_preprocessing(
    encoder: RegionEncoder, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openmmb.vision.detector.region_encoder.PREPROCESSING", "another")
    assert open_faster_rcnn(weights, CPU, shape=TINY).fingerprint != encoder.fingerprint


def test_the_program_may_allow_less_exact_products_elsewhere(encoder: RegionEncoder) -> None:
    exact = encoder.encode([picture()])
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(encoder.encode([picture()]), exact)
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.set_float32_matmul_precision(before)


def test_pictures_of_two_threads_are_both_exact_and_leave_the_program_its_setting(
    encoder: RegionEncoder,
) -> None:
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))
    precisions: list[str] = []

    def wait(network: torch.nn.Module, inputs: object) -> None:
        if threading.current_thread() is first:
            first_is_in.set()
            assert second_is_in.wait(10)
        else:
            second_is_in.set()
            assert first_is_out.wait(10)
            precisions.append(torch.backends.cuda.matmul.fp32_precision)

    def encode_first() -> None:
        encoder.encode([picture()])
        first_is_out.set()

    hook = encoder.network.register_forward_pre_hook(wait)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    allowed = torch.backends.cuda.matmul.fp32_precision
    try:
        first = threading.Thread(target=encode_first)
        first.start()
        assert first_is_in.wait(10)
        encoder.encode([picture()])
        first.join()
        assert precisions == ["ieee"]
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.backends.cuda.matmul.fp32_precision == allowed != "ieee"
    finally:
        hook.remove()
        torch.set_float32_matmul_precision(before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_the_same_regions(encoder: RegionEncoder, weights: Path) -> None:
    there = open_faster_rcnn(weights, torch.device("cuda"), shape=TINY).regions(picture())
    here = encoder.regions(picture())
    same = (there.boxes[:, None] - here.boxes).abs().amax(-1).argmin(1)
    assert sorted(same.tolist()) == list(range(100))
    assert (there.features - here.features[same]).abs().max() < 1e-2
