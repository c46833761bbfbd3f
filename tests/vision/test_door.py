"""The same picture gives the same pixels, whichever way it comes in."""

import base64
import gzip
import io
import mmap
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image

from openmmb.errors import ImageError
from openmmb.vision.features.pictures import list_pictures
from openmmb.vision.image import load_image
from openmmb.vision.limits import DEFAULT_LIMITS, ImageLimits
from tests.vision.features.test_pictures import pack
from tests.vision.pictures import encoded, gradient, samples, sideways

SAMPLES = samples()


def ways(data: bytes, folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield one picture in every form that a file may come in, each with its name."""
    path = folder / "a dog.jpg"
    path.write_bytes(data)
    yield "path", path
    yield "text", str(path)
    yield "file URL", path.as_uri()
    yield "bytearray", bytearray(data)
    yield "memoryview", memoryview(data)
    yield "data URI", f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
    at_end = io.BytesIO()
    at_end.write(data)
    yield "buffer that was written", at_end
    with path.open("rb") as file:
        yield "open file", file
        yield "open file once more", file
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            yield "mapped file", view
    with subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as process:
        yield "pipe", process.stdout
    with Image.open(path) as image:
        yield "Pillow", image
    with Image.open(path) as image:
        image.load()
        yield "Pillow that has loaded it", image
        yield "Pillow's copy", image.copy()
    fsspec.filesystem("memory").pipe("/door/a dog.jpg", data)
    with fsspec.open("memory://door/a dog.jpg") as file:
        yield "file of a store", file
    archive = pack(folder, folder.parent / f"{folder.name}.tar")
    for source in (folder, archive, "memory://door"):
        (picture,), _ = list_pictures([source])
        yield f"listed in {source}", picture


@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_picture_gives_the_same_pixels(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    expected = load_image(SAMPLES[name])
    assert expected.mode == "RGB"
    for way, given in ways(SAMPLES[name], folder):
        image = given.load(DEFAULT_LIMITS) if way.startswith("listed") else load_image(given)
        assert (image.mode, image.size) == ("RGB", expected.size), way
        assert image.tobytes() == expected.tobytes(), way


def test_pixels_of_numpy_and_torch_are_those_of_their_picture() -> None:
    image = gradient()
    pixels = np.asarray(image)
    for given in (pixels, torch.tensor(pixels), torch.tensor(pixels).permute(2, 0, 1)):
        assert load_image(given).tobytes() == image.tobytes()


def test_what_came_out_comes_out_the_same_again() -> None:
    for data in SAMPLES.values():
        once = load_image(data)
        assert load_image(once).tobytes() == once.tobytes()
        assert load_image(np.asarray(once)).tobytes() == once.tobytes()


def test_a_picture_that_pillow_has_open_is_not_changed() -> None:
    with Image.open(io.BytesIO(encoded(gradient(), "JPEG", exif=sideways()))) as image:
        before = np.asarray(image.copy())
        load_image(image)
        assert np.array_equal(np.asarray(image), before)
        assert image.getexif()[0x0112] == 6


def test_what_was_drawn_on_an_open_picture_is_seen() -> None:
    with Image.open(io.BytesIO(encoded(gradient(), "PNG"))) as image:
        image.putpixel((1, 1), (7, 8, 9))
        assert load_image(image).getpixel((1, 1)) == (7, 8, 9)


def test_the_frame_that_pillow_stands_at_is_taken() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(data)) as image:
        image.seek(1)
        assert load_image(image).getpixel((0, 0)) == (0, 0, 255)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.new("F", (2, 2)), "image: 32 bits a sample"),
        (Image.new("LAB", (2, 2)), r"image: colours in L\*a\*b\*, which are not read"),
        (Image.new("RGB", (30, 30)), "image: 30 x 30 = 900 pixels; at most 500 are decoded"),
    ],
)
def test_pixels_of_pillow_are_limited_as_files_are(image: Image.Image, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        load_image(image, limits=ImageLimits(max_pixels=500))


def test_a_file_that_pillow_has_open_is_limited_before_it_is_decoded() -> None:
    for format_name in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF"):
        with Image.open(io.BytesIO(encoded(gradient(90, 90), format_name))) as image:
            with pytest.raises(ImageError, match="90 x 90 = 8100 pixels"):
                load_image(image, limits=ImageLimits(max_pixels=50, max_memory=2000))
            with pytest.raises(ImageError, match=r"over 9 bytes|8100 pixels"):
                load_image(image, limits=ImageLimits(max_bytes=9, max_pixels=50))


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    closed = io.BytesIO(b"a")
    closed.close()
    with pytest.raises(ImageError, match="picture: cannot be read: I/O operation on closed file"):
        load_image(closed)
    with pytest.raises(ImageError, match="picture: over 5 bytes; at most 5 are read"):
        load_image(io.BytesIO(b"abcdef"), limits=ImageLimits(max_bytes=5))
    with (tmp_path / "new").open("wb") as file, pytest.raises(ImageError, match="cannot be read"):
        load_image(file)
    image = Image.open(io.BytesIO(SAMPLES["jpeg"]))
    image.close()
    with pytest.raises(ImageError, match="image: damaged picture: Operation on closed image"):
        load_image(image)
    for tensor in (torch.zeros(2, 2, 3, device="meta"), torch.zeros(2, 2, 3).to_sparse()):
        with pytest.raises(ImageError, match="image: expected pixels one by one in memory"):
            load_image(tensor.byte())


def test_a_damaged_archive_is_a_picture_that_cannot_be_read() -> None:
    picture = SAMPLES["jpeg"]
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("a.jpg", picture)
    damaged = written.getvalue().replace(picture[-20:], bytes(20))
    cut = gzip.compress(picture)[:-10]
    with (
        zipfile.ZipFile(io.BytesIO(damaged)) as archive,
        archive.open("a.jpg") as zipped,
        gzip.open(io.BytesIO(cut)) as zipped_file,
    ):
        for file in (zipped, zipped_file):
            with pytest.raises(ImageError, match="picture: cannot be read: "):
                load_image(file)


def test_a_long_text_is_not_quoted_whole() -> None:
    for text in ("a" * 100_000, "https://example.com/" + "a" * 100_000, "\0" * 100_000):
        with pytest.raises(ImageError) as caught:
            load_image(text)
        assert len(str(caught.value)) < 500


def test_heic_is_read_with_its_package_and_named_without(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys, pillow_heif; from tests.vision.pictures import *;"
        "pillow_heif.register_heif_opener();"
        "sys.stdout.buffer.write(encoded(gradient(), 'HEIF', quality=-1))"
    )
    root = Path(__file__).parents[2]
    pytest.importorskip("pillow_heif")
    command = [sys.executable, "-c", code]
    data = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=True).stdout
    image = load_image(data)
    difference = np.asarray(image, int) - np.asarray(gradient(), int)
    assert abs(difference).max() < 12
    monkeypatch.setattr("openmmb.vision.image.find_spec", lambda name: None)
    with pytest.raises(ImageError, match=r"^picture: HEIC picture: pip install 'openmmb\[heic\]'$"):
        load_image(data)
