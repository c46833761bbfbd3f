"""Each pixel of the canvas is the one that a plain loop computes from the picture."""

import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from openmmb.vision.detector.preprocess import preprocess
from tests.vision.detector.build import picture

MEAN_BGR = (102.9801, 115.9465, 122.7717)


def slow(image: Image.Image, y: int, x: int, scale: float) -> list[float]:
    """One pixel of the canvas."""

    def sources(place: int, size: int) -> list[tuple[int, float]]:
        source = min(max((place + 0.5) / scale - 0.5, 0), size - 1)
        low = math.floor(source)
        return [(low, 1 - (source - low)), (min(low + 1, size - 1), source - low)]

    value = np.zeros(3)
    for source_y, share_y in sources(y, image.height):
        for source_x, share_x in sources(x, image.width):
            colour = np.array(image.getpixel((source_x, source_y)))[::-1] - MEAN_BGR
            value += share_y * share_x * colour
    return [float(number) for number in value]


@settings(max_examples=25)
@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(8, 50), st.randoms(use_true_random=False)
)
def test_a_pixel_is_what_a_loop_computes(
    height: int, width: int, side: int, chance: random.Random
) -> None:
    image = picture(width=width, height=height)
    canvas = preprocess(image, min_side=side, max_side=70)
    rows, columns = (max(1, round(size * canvas.scale)) for size in (height, width))
    for _ in range(10):
        y, x = chance.randrange(rows), chance.randrange(columns)
        found = canvas.pixels[0, :, y, x].tolist()
        assert found == pytest.approx(slow(image, y, x, canvas.scale), abs=1e-3)


@pytest.mark.parametrize(
    ("width", "height", "scale", "rows", "columns"),
    [
        (451, 300, 800 / 300, 800, 1203),
        (1200, 1600, 800 / 1200, 1067, 800),
        (2000, 500, 1333 / 2000, 333, 1333),
        (1, 5000, 1333 / 5000, 1333, 1),
    ],
)
def test_the_short_side_is_800_unless_the_long_one_passes_1333(
    width: int, height: int, scale: float, rows: int, columns: int
) -> None:
    canvas = preprocess(Image.new("RGB", (width, height), (9, 9, 9)))
    assert canvas.scale == scale
    canvas_height, canvas_width = canvas.pixels.shape[-2:]
    assert (canvas_height % 32, canvas_width % 32) == (0, 0)
    assert (canvas_height - rows, canvas_width - columns) == (-rows % 32, -columns % 32)
    picture_mean = canvas.pixels[0, :, :rows, :columns].mean(dim=(1, 2)).tolist()
    assert picture_mean == pytest.approx([9 - mean for mean in MEAN_BGR], rel=1e-4)
    assert not canvas.pixels[..., rows:, :].any()
    assert not canvas.pixels[..., columns:].any()


def test_pixels_are_float32_and_channels_last() -> None:
    pixels = preprocess(picture(), min_side=64, max_side=128).pixels
    assert pixels.dtype == torch.float32
    assert pixels.is_contiguous(memory_format=torch.channels_last)
