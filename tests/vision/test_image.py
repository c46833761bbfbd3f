"""Any bytes become checked RGB pixels or an ImageError of one line that says what is wrong."""

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from openmmb.config import parse
from openmmb.errors import ConfigError, ImageError
from openmmb.vision.formats import FORMATS
from openmmb.vision.image import load_image
from openmmb.vision.limits import ImageLimits

WRITTEN = [kind.name for kind in FORMATS if kind.name != "HEIC"]
"""Formats that Pillow itself writes."""


def gradient(width: int = 24, height: int = 16) -> Image.Image:
    """A picture in which every pixel and every channel differs."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([10 * x, 15 * y, 5 * (x + y)], -1).astype(np.uint8))


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def pixel(image: Image.Image, x: int = 0, y: int = 0) -> tuple[int, ...]:
    value = image.getpixel((x, y))
    assert isinstance(value, tuple)
    return value


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    start = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", start) + chunk(b"IDAT", zlib.compress(b""))


@pytest.mark.parametrize("format_name", WRITTEN)
def test_every_format_opens_from_bytes_and_from_a_file(format_name: str, tmp_path: Path):
    data = encoded(gradient(), format_name)
    path = tmp_path / "picture"
    path.write_bytes(data)
    image = load_image(path)
    assert (image.mode, image.size) == ("RGB", (24, 16))
    assert image.tobytes() == load_image(data).tobytes()
    if format_name not in ("JPEG", "WEBP", "GIF", "AVIF"):
        assert image.tobytes() == gradient().tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int):
    turns: dict[
        int, Callable[[np.ndarray], np.ndarray]
    ] = {  # what a camera held so would have stored
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: np.rot90,
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    upright = np.asarray(gradient())
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turns[orientation](upright)))
    image = load_image(encoded(stored, "PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(image), upright)


def test_damaged_exif_counts_as_none():
    data = encoded(gradient(), "PNG", exif=b"Exif\x00\x00no tiff header")
    assert load_image(data).tobytes() == gradient().tobytes()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("1", (2, 2), 1), (255, 255, 255)),
        (Image.new("L", (2, 2), 90), (90, 90, 90)),
        (Image.new("LA", (2, 2), (0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 255)), (255, 0, 0)),
        (Image.new("RGBA", (2, 2), (0, 0, 0, 128)), (127, 127, 127)),
        (Image.new("I;16", (2, 2), 65535), (255, 255, 255)),
        (Image.new("I;16", (2, 2), 32768), (128, 128, 128)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_modes_of_a_png(image: Image.Image, expected: tuple[int, int, int]):
    assert pixel(load_image(encoded(image, "PNG"))) == expected


def test_16_bits_are_scaled_in_both_byte_orders():
    grey = np.array([[0, 256, 40000, 65535]], dtype=np.uint16)
    for mode in ("I;16", "I;16B"):
        raw = grey.astype("<u2" if mode == "I;16" else ">u2").tobytes()
        image = load_image(encoded(Image.frombytes(mode, (4, 1), raw), "TIFF"))
        assert [pixel(image, x)[0] for x in range(4)] == [0, 1, 156, 255]


def test_transparent_palette_entries_become_white():
    for format_name in ("PNG", "GIF"):
        image = Image.new("P", (2, 1))
        image.putpalette([255, 0, 0, 0, 255, 0])
        image.putpixel((1, 0), 1)
        result = load_image(encoded(image, format_name, transparency=0))
        assert [pixel(result, 0), pixel(result, 1)] == [(255, 255, 255), (0, 255, 0)]


def test_a_transparent_colour_becomes_white():
    image = Image.new("RGB", (2, 1), (9, 9, 9))
    image.putpixel((1, 0), (8, 8, 8))
    result = load_image(encoded(image, "PNG", transparency=(9, 9, 9)))
    assert [pixel(result, 0), pixel(result, 1)] == [(255, 255, 255), (8, 8, 8)]


def test_cmyk_is_converted():
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert pixel(load_image(encoded(red, "TIFF"))) == (255, 0, 0)
    r, g, b = pixel(load_image(encoded(red, "JPEG", quality=95)))
    assert r > 250
    assert max(g, b) < 5


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for format_name in ("GIF", "WEBP"):
        options = {"lossless": True} if format_name == "WEBP" else {}
        data = encoded(frames[0], format_name, save_all=True, append_images=frames[1:], **options)
        assert pixel(load_image(data)) == (255, 0, 0)


def test_one_pixel_is_a_picture():
    assert load_image(encoded(Image.new("RGB", (1, 1), "red"), "BMP")).size == (1, 1)


def test_32_bit_samples_are_refused():
    for mode in ("I", "F"):
        with pytest.raises(ImageError, match=r"picture: 32 bits a sample.*expected 8 or 16"):
            load_image(encoded(Image.new(mode, (2, 2)), "TIFF"))


def test_a_missing_file_is_named(tmp_path: Path):
    path = tmp_path / "none.jpg"
    with pytest.raises(ImageError, match=r"none\.jpg: No such file or directory$"):
        load_image(path)


def test_a_folder_is_not_a_file(tmp_path: Path):
    with pytest.raises(ImageError, match=r"not a file; expected a picture file$"):
        load_image(tmp_path)


def test_a_path_that_no_file_can_have():
    with pytest.raises(ImageError, match="null byte"):
        load_image(Path("a\0b.jpg"))
    with pytest.raises(ImageError, match="name too long"):
        load_image(Path("a" * 5000))


def test_a_text_called_jpg(tmp_path: Path):
    path = tmp_path / "notes.jpg"
    path.write_text("hello\nworld")
    with pytest.raises(ImageError) as caught:
        load_image(path)
    assert str(caught.value) == (
        f"{path}: not a picture, starts with b'hello\\nworld'; "
        "expected JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF or HEIC"
    )


def test_other_formats_do_not_open():
    for format_name in ("PPM", "TGA", "ICO", "PCX"):
        with pytest.raises(ImageError, match="not a picture"):
            load_image(encoded(gradient(), format_name))


def test_no_bytes(tmp_path: Path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"empty\.png: empty"):
        load_image(tmp_path / "empty.png")
    with pytest.raises(ImageError, match=r"^upload 1: empty"):
        load_image(b"", name="upload 1")


def test_a_truncated_jpeg_is_damaged():
    data = encoded(gradient(200, 200), "JPEG")
    with pytest.raises(ImageError, match=r"^picture: damaged JPEG: .*truncated"):
        load_image(data[: len(data) // 2])


def test_too_many_bytes(tmp_path: Path):
    data = encoded(gradient(), "PNG")
    (tmp_path / "big.png").write_bytes(data)
    limits = ImageLimits(max_bytes=len(data) - 1)
    with pytest.raises(ImageError, match=rf"{len(data)} bytes; at most {len(data) - 1} are read"):
        load_image(data, limits=limits)
    with pytest.raises(ImageError, match=rf"over {len(data) - 1} bytes; at most"):
        load_image(tmp_path / "big.png", limits=limits)
    load_image(data, limits=ImageLimits(max_bytes=len(data)))


def test_too_many_pixels_are_refused_without_decoding():
    with pytest.raises(ImageError, match=r"9000 x 9000 = 81000000 pixels; at most 50000000 of"):
        load_image(png_header(9000, 9000))
    with pytest.raises(ImageError, match=r"10000000000 pixels.*; at most 50000000 pixels are"):
        load_image(png_header(100_000, 100_000))
    limits = ImageLimits(max_pixels=24 * 16)
    load_image(encoded(gradient(), "PNG"), limits=limits)
    with pytest.raises(ImageError, match=r"25 x 16 = 400 pixels; at most 384 of a PNG are decoded"):
        load_image(encoded(gradient(25), "PNG"), limits=limits)


def test_pillow_keeps_its_warnings_to_itself():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning at 89 million pixels would now be an error
        with pytest.raises(ImageError, match="10000 x 10000 = 100000000 pixels"):
            load_image(png_header(10_000, 10_000))


def test_odd_exif_gives_no_warning_and_no_error():
    too_long = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\xff\xff\x00\x00\x00\x99"
    data = encoded(gradient(), "JPEG", exif=b"Exif\x00\x00" + too_long)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning), Image.open(io.BytesIO(data)) as image:
            image.getexif()
        assert load_image(data).size == (24, 16)


def test_threads_decode_at_the_same_time(monkeypatch: pytest.MonkeyPatch):
    threads = 4
    all_decode = threading.Barrier(threads)
    load = ImageFile.ImageFile.load

    def load_together(image: ImageFile.ImageFile) -> object:
        all_decode.wait(10)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", load_together)
    with ThreadPoolExecutor(threads) as pool:
        images = list(pool.map(load_image, [encoded(gradient(), "BMP")] * threads))
    assert {image.tobytes() for image in images} == {gradient().tobytes()}


def test_a_decode_in_another_thread_leaves_the_warnings_of_a_program_alone():
    data = encoded(gradient(), "PNG")
    with warnings.catch_warnings(), ThreadPoolExecutor(4) as pool:
        warnings.simplefilter("error")
        decoded = [pool.submit(load_image, data) for _ in range(100)]
        while not all(future.done() for future in decoded):
            with pytest.raises(UserWarning, match="heard"):
                warnings.warn("heard", stacklevel=1)


def test_limits_below_one_are_refused():
    with pytest.raises(ConfigError, match="max_bytes must be at least 1, got 0"):
        parse(ImageLimits, {"max_bytes": 0, "max_pixels": 5})


SAMPLES = [
    *(encoded(gradient(), name) for name in WRITTEN),
    encoded(
        gradient().convert("P"), "PNG", transparency=0, exif=b"MM\x00*\x00\x00\x00\x08\x00\x00"
    ),
    encoded(gradient(), "JPEG", progressive=True, exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01"),
    encoded(gradient().convert("CMYK"), "JPEG"),
    encoded(gradient(), "TIFF", compression="tiff_lzw"),
    encoded(gradient(), "TIFF", compression="jpeg"),
    encoded(gradient(), "PNG", save_all=True, append_images=[gradient()]),
    encoded(gradient(), "WEBP", save_all=True, append_images=[gradient()]),
]


def open_or_explain(data: bytes) -> str:
    try:
        return load_image(data, limits=ImageLimits(max_pixels=10**6)).mode
    except ImageError as error:
        return str(error)


@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=8),
    st.integers(0, 2**16),
)
@settings(max_examples=400, deadline=None)
def test_damaged_bytes_give_pixels_or_an_image_error(
    sample: bytes, changes: list[tuple[int, int]], length: int
):
    data = bytearray(sample)
    for place, value in changes:
        data[place % len(data)] = value
    outcome = open_or_explain(bytes(data[: length % (2 * len(data))]))  # half the time, all of it
    assert outcome == "RGB" or outcome.startswith("picture: ")
    assert "\n" not in outcome


@given(st.binary(max_size=200))
def test_noise_is_not_a_picture(data: bytes):
    with pytest.raises(ImageError, match=r"^picture: "):
        load_image(data)
