"""An encoder's vectors are a function of each picture alone, and its names and sizes hold."""

import numpy as np
import pytest
import torch
from PIL import Image

from openmmb.errors import ConfigError
from openmmb.vision import efficientnet
from openmmb.vision.encoders import ENCODERS, ImageEncoder, open_encoder


def noise(seed: int, width: int = 224, height: int = 224) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module", params=sorted(ENCODERS))
def encoder(request: pytest.FixtureRequest) -> ImageEncoder:
    return open_encoder(request.param)


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


def test_a_mirrored_picture_has_other_vectors(encoder: ImageEncoder):
    image = noise(0)
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert not torch.allclose(encoder.encode([image]), encoder.encode([mirrored]), atol=0.1)


def test_the_fingerprint_follows_the_preprocessing(
    encoder: ImageEncoder, monkeypatch: pytest.MonkeyPatch
):
    assert open_encoder(encoder.name).fingerprint == encoder.fingerprint
    monkeypatch.setattr(efficientnet, "PREPROCESSING", "another")
    assert open_encoder("efficientnet_lite0").fingerprint != encoder.fingerprint


def test_the_fingerprint_of_the_published_weights():
    assert open_encoder("efficientnet_lite0").fingerprint == "a7a112848528de85"


def test_zero_pictures_and_other_modes_are_refused(encoder: ImageEncoder):
    with pytest.raises(ValueError, match="cannot encode zero pictures"):
        encoder.encode([])
    with pytest.raises(ValueError, match="picture has mode L, expected RGB"):
        encoder.encode([noise(0), Image.new("L", (9, 9))])


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="'efficientnet'; did you mean 'efficientnet_lite0'"):
        open_encoder("efficientnet")
    with pytest.raises(
        ConfigError, match="no picture encoder 'xyz'; there are: efficientnet_lite0"
    ):
        open_encoder("xyz")


def test_an_unknown_device_is_refused():
    with pytest.raises(ConfigError, match=r"no device 'gpu' here: .*; 'cpu' always works"):
        open_encoder("efficientnet_lite0", device="gpu")
