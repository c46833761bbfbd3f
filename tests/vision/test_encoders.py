"""An encoder's vectors are a function of each picture alone, and its names and sizes hold."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from openmmb.errors import CheckpointError, ConfigError
from openmmb.vision import efficientnet
from openmmb.vision.encoders import (
    ALIASES,
    ENCODERS,
    find_encoder,
    from_parlai,
    open_encoder,
    open_resnext,
)
from openmmb.vision.image_encoder import ImageEncoder
from openmmb.vision.resnext import ResNeXt, Shape

TINY = Shape(2, groups=2, blocks=(1, 1, 1, 1), stem_dim=4)
PUBLISHED = dict(ENCODERS)
RESNEXTS = [
    f"resnext101_32x8d_wsl{form}" for form in ("", "_parlai", "_spatial", "_spatial_parlai")
]


def noise(seed: int, width: int = 224, height: int = 224) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def write_weights(path: Path, *, seed: int = 0) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        save_file(ResNeXt(TINY).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a tiny ResNeXt."""
    return write_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="module")
def _tiny_resnexts() -> Iterator[None]:
    """Let the published names open a tiny network."""
    with pytest.MonkeyPatch.context() as patch:
        for name in RESNEXTS:
            published = ENCODERS[name].open
            assert isinstance(published, partial)
            tiny = partial(open_resnext, **{**published.keywords, "shape": TINY})
            patch.setitem(ENCODERS, name, replace(ENCODERS[name], open=tiny))
        yield


@pytest.fixture(scope="module", params=["efficientnet_lite0", *RESNEXTS])
def encoder(request: pytest.FixtureRequest, _tiny_resnexts: None, weights: Path) -> ImageEncoder:
    name = request.param
    return open_encoder(name, weights=weights if name in RESNEXTS else None)


def test_name_and_sizes_hold(encoder: ImageEncoder):
    vectors = encoder.encode([noise(0), noise(1, 40, 300)])
    assert encoder.name in ENCODERS
    assert vectors.shape == (2, encoder.num_vectors, encoder.feature_dim)
    assert (vectors.dtype, vectors.device.type) == (torch.float32, "cpu")
    assert vectors.isfinite().all()


def test_the_batch_does_not_matter(encoder: ImageEncoder):
    images = [noise(seed, 64 + seed, 50) for seed in range(3)]
    alone = torch.cat([encoder.encode([image]) for image in images])
    torch.testing.assert_close(encoder.encode(images), alone, atol=2e-4, rtol=1e-4)


def test_the_pictures_before_do_not_matter(encoder: ImageEncoder):
    before = encoder.encode([noise(0)])
    encoder.encode([noise(1), noise(2)])
    assert torch.equal(encoder.encode([noise(0)]), before)


def test_words_are_few_and_the_likeliest_comes_first(encoder: ImageEncoder):
    words = encoder.words(encoder.encode([noise(0)])[0])
    assert encoder.has_words == (len(words) > 0) == (encoder.name == "efficientnet_lite0")
    assert [word.probability for word in words] == sorted(
        (word.probability for word in words), reverse=True
    )


def test_a_mirrored_picture_has_other_vectors(encoder: ImageEncoder):
    image = noise(0)
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    change = encoder.encode([image]) - encoder.encode([mirrored])
    assert change.abs().max() > 1e-3


def test_zero_pictures_and_other_modes_are_refused(encoder: ImageEncoder):
    with pytest.raises(ValueError, match="cannot encode zero pictures"):
        encoder.encode([])
    with pytest.raises(ValueError, match="picture has mode L, expected RGB"):
        encoder.encode([noise(0), Image.new("L", (9, 9))])


def test_the_fingerprint_follows_the_preprocessing(monkeypatch: pytest.MonkeyPatch):
    before = open_encoder("efficientnet_lite0").fingerprint
    assert open_encoder("efficientnet_lite0").fingerprint == before
    monkeypatch.setattr(efficientnet, "PREPROCESSING", "another")
    assert open_encoder("efficientnet_lite0").fingerprint != before


def test_the_fingerprint_of_the_published_weights():
    assert open_encoder("efficientnet_lite0").fingerprint == "a7a112848528de85"


@pytest.mark.usefixtures("_tiny_resnexts")
def test_the_fingerprint_follows_weights_and_form(weights: Path, tmp_path: Path):
    other = write_weights(tmp_path / "other.safetensors", seed=1)
    opened = [open_encoder(name, weights=path) for name in RESNEXTS for path in (weights, other)]
    assert len({encoder.fingerprint for encoder in opened}) == len(opened)
    assert open_encoder(RESNEXTS[0], weights=weights).fingerprint == opened[0].fingerprint


@pytest.mark.parametrize("name", sorted(name for name in ENCODERS if ENCODERS[name].published))
def test_missing_weights_are_said_with_their_place_and_licence(name: str):
    entry = ENCODERS[name]
    told = f"{name}: needs its weights, which are published at {entry.published}, licence: "
    with pytest.raises(ConfigError, match=re.escape(told + entry.licence)) as caught:
        open_encoder(name)
    assert "; use --encoder-weights PATH" in str(caught.value)


@pytest.mark.parametrize(
    "name", sorted(name for name in PUBLISHED if PUBLISHED[name].published and name != "siglip2")
)
def test_a_file_of_weights_that_is_not_there_is_named(name: str, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"none\.pth: no such file"):
        open_encoder(name, weights=tmp_path / "none.pth")


def test_weights_for_an_encoder_that_has_its_own_are_refused():
    with pytest.raises(
        ConfigError,
        match=r"^efficientnet_lite0: expected no weights, it has its own, got 'a\.pth'$",
    ):
        open_encoder("efficientnet_lite0", weights="a.pth")


@pytest.mark.usefixtures("_tiny_resnexts")
def test_a_home_folder_is_found(weights: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(weights.parent))
    assert open_encoder(RESNEXTS[0], weights=f"~/{weights.name}").name == RESNEXTS[0]


def test_every_form_of_a_resnext_is_there():
    names = {name for name in PUBLISHED if name.startswith("resnext")}
    forms = ("", "_parlai", "_spatial", "_spatial_parlai")
    assert names == {f"resnext101_32x{w}d_wsl{form}" for w in (8, 16, 32, 48) for form in forms}
    for name in names:
        entry = PUBLISHED[name]
        assert isinstance(entry.open, partial)
        form = entry.open.keywords
        assert name.startswith(f"{form['shape']}_wsl")
        assert ("spatial" in name, "parlai" in name) == (form["spatial"], form["parlai"])
        assert entry.shape == (49 if form["spatial"] else 1, 2048)
        assert f"ig_resnext101_32x{form['shape'].group_width}-" in entry.published


def test_parlai_names_are_known():
    assert set(ALIASES.values()) <= ENCODERS.keys()
    assert find_encoder("faster_r_cnn_152_32x8d") == "faster_rcnn_x152"
    assert find_encoder("resnext101_32x48d_wsl_spatial") == "resnext101_32x48d_wsl_spatial"


def test_a_model_of_parlai_gets_the_vectors_that_it_was_trained_with():
    assert from_parlai("faster_r_cnn_152_32x8d") == "faster_rcnn_x152"
    assert from_parlai("resnext101_32x48d_wsl") == "resnext101_32x48d_wsl_parlai"
    assert from_parlai("resnext101_32x48d_wsl_spatial") == "resnext101_32x48d_wsl_spatial_parlai"
    assert from_parlai("raw") == "raw"


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="'efficientnet'; did you mean 'efficientnet_lite0'"):
        open_encoder("efficientnet")
    with pytest.raises(
        ConfigError,
        match="no picture encoder 'xyz'; expected one of efficientnet_lite0, faster_rcnn",
    ):
        open_encoder("xyz")


def test_an_unknown_device_is_refused():
    with pytest.raises(ConfigError, match=r"^device: no device 'gpu'; did you mean 'cpu'\?$"):
        open_encoder("efficientnet_lite0", device="gpu")
