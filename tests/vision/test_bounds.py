"""No file takes more time or memory than the limits say, however small or odd it is."""

import json
import math
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from openmmb.errors import ImageError
from openmmb.vision.formats import AVIF, BMP, GIF, JPEG, PNG, TIFF, WEBP, Format
from openmmb.vision.image import load_image
from openmmb.vision.jpeg import MAX_SCANS, read_structure
from openmmb.vision.limits import ImageLimits
from tests.vision import pictures
from tests.vision.pictures import encoded, gradient

ROOT = Path(__file__).parents[2]
MEGABYTE = 2**20
MEMORY = 48 * MEGABYTE
MEASURE = f"""
import json, resource, struct, sys
from openmmb.errors import ImageError
from openmmb.vision.decoding import Budget, decode
from openmmb.vision.formats import find_format

budget = Budget(pixels=10**8, memory={MEMORY}, seconds=60)

def run(data):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        outcome = decode(data, find_format(data), budget).size
    except ImageError as error:
        outcome = str(error)
    return outcome, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024

source = sys.stdin.buffer
sizes = struct.unpack(">III", source.read(12))
print(json.dumps([run(source.read(size)) for size in sizes]))
"""


def measure(*files: bytes) -> list[tuple[Any, int]]:
    """Decode three files in a new process: what came out, and what it took besides the file."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))}
    given = struct.pack(">III", *map(len, files)) + b"".join(files)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], input=given, env=environment, stdout=-1, check=True
    )
    return [tuple(row) for row in json.loads(done.stdout)]


def plain(kind: Format, side: int) -> bytes:
    """Return a picture of one colour in few bytes, in the mode that costs the format most."""
    mode = {JPEG: "RGB", GIF: "P", BMP: "P"}.get(kind, "RGBA")
    options: dict[Format, dict[str, Any]] = {
        JPEG: {"subsampling": 0, "exif": pictures.sideways()},
        GIF: {"transparency": 0},
        WEBP: {"lossless": True},
        TIFF: {"compression": "tiff_adobe_deflate"},
        AVIF: {"speed": 10},
    }
    return encoded(Image.new(mode, (side, side)), kind.name, **options.get(kind, {}))


@pytest.mark.parametrize("kind", [JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF], ids=lambda k: k.name)
def test_no_picture_takes_more_memory_than_its_format_is_known_for(kind: Format) -> None:
    most = MEMORY // kind.bytes_per_pixel
    side = math.isqrt(most)
    giant = plain(kind, side + 1)
    if kind is JPEG:  # one that could not be decoded at a fraction either
        image = Image.new("RGB", (3 * side // 2, side))
        giant = encoded(image, "JPEG", progressive=True, subsampling=0)
    first, refused, decoded = measure(plain(kind, 8), giant, plain(kind, side))
    assert first[0] == [8, 8]
    assert "pixels" in refused[0]
    assert refused[1] < 2 * MEGABYTE + len(giant)
    assert decoded[0] == [side, side]
    assert decoded[1] < MEMORY + 4 * MEGABYTE


def test_what_a_header_does_not_tell_meets_the_limit_of_the_process() -> None:
    assert load_image(pictures.avif_that_lies(500)).size == (64, 64)
    codes = pictures.webp_of_codes(1024)  # which its 1 million pixels do not tell
    with pytest.raises(ImageError, match=r"^picture: (damaged WEBP|takes over 134217728 bytes)"):
        load_image(codes, limits=ImageLimits(max_memory=128 * MEGABYTE))
    strips = pictures.tiff_of_strips(1_500_000)  # numbers that Python keeps are ten times as large
    # CPython may turn round and round where not even an exception finds memory: the other limit.
    with pytest.raises(
        ImageError, match=r"^picture: (takes over 16000000 bytes|decoding takes ov)"
    ):
        load_image(strips, limits=ImageLimits(max_memory=16 * 10**6, max_seconds=3.0))


def test_a_scan_bomb_is_refused_without_decoding_it() -> None:
    data = pictures.scan_bomb(200, 5000)
    assert len(data) < 100_000
    with pytest.raises(ImageError, match=r"^picture: a JPEG of more than 100 scans"):
        load_image(data)
    with pytest.raises(ImageError, match=r"^picture: a JPEG of more than 100 scans"):
        load_image(pictures.scan_bomb(20, MAX_SCANS))
    assert load_image(pictures.scan_bomb(20, MAX_SCANS - 10)).size == (20, 20)


def test_scans_are_counted_as_a_decoder_meets_them() -> None:
    plain = encoded(gradient(), "JPEG")
    assert read_structure(plain).scans == 1
    assert read_structure(encoded(gradient(), "JPEG", progressive=True)).scans == 10
    thumbnail = plain[:2] + b"\xff\xe5\x00\x52" + b"\xff\xda" * 40 + plain[2:]
    assert read_structure(thumbnail).scans == 1  # a segment may hold anything
    assert read_structure(plain + b"\xff\xda" * 500).scans == 1  # so may what follows the end
    assert load_image(thumbnail).tobytes() == load_image(plain).tobytes()
    for length in range(len(plain)):
        assert read_structure(plain[:length]).scans <= 1
    assert read_structure(encoded(gradient(), "JPEG", subsampling=2)).samples_per_pixel == 1.5
    assert read_structure(encoded(gradient(), "JPEG", subsampling=0)).samples_per_pixel == 3
    assert read_structure(encoded(gradient().convert("L"), "JPEG")).samples_per_pixel == 1


@pytest.mark.parametrize(
    "data",
    [
        pictures.jpeg_of_comments(300_000),
        pictures.jpeg_of_filling(300_000),
        pictures.png_of_chunks(b"teXt", 150_000),
        pictures.gif_of_comments(150_000),
        pictures.bmp_of_runs(2000, 300_000),
    ],
    ids=["jpeg comments", "jpeg filling", "png chunks", "gif comments", "bmp runs"],
)
def test_a_flood_of_parts_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"^picture: in more than 262144 parts, which no program"):
        load_image(data)


def test_what_takes_too_long_is_ended() -> None:
    limits = ImageLimits(max_seconds=0.01)
    for data in (pictures.png_of_chunks(b"teXt", 50_000), pictures.tiff_of_strips(200_000)):
        with pytest.raises(ImageError, match=r"^picture: decoding takes over 0\.01 seconds"):
            load_image(data, limits=limits)


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size() -> None:
    whole = gradient(240, 160)
    data = encoded(whole, "JPEG", quality=95)
    sizes = {
        limit: load_image(data, limits=ImageLimits(max_pixels=limit)).size
        for limit in (240 * 160, 240 * 160 - 1, 120 * 80 - 1, 60 * 40 - 1)
    }
    assert list(sizes.values()) == [(240, 160), (120, 80), (60, 40), (30, 20)]
    with pytest.raises(ImageError, match=r"240 x 160 = 38400 pixels in 1 scans; decoding takes"):
        load_image(data, limits=ImageLimits(max_pixels=30 * 20 - 1))


def test_a_progressive_jpeg_is_limited_by_the_memory_it_keeps() -> None:
    data = encoded(gradient(240, 160), "JPEG", progressive=True, subsampling=0)
    pixels = 240 * 160
    assert load_image(data, limits=ImageLimits(max_memory=14 * pixels)).size == (240, 160)
    assert load_image(data, limits=ImageLimits(max_memory=14 * pixels - 1)).size == (120, 80)
    with pytest.raises(ImageError, match=f"in 10 scans; decoding takes {6 * pixels + 4800} bytes"):
        load_image(data, limits=ImageLimits(max_memory=6 * pixels))
