"""A data URI holds the pixels of its picture, or one line says what is wrong with it."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from openmmb.errors import ImageError
from openmmb.vision.image import load_image, picture_from_data_uri
from openmmb.vision.limits import ImageLimits


def png(colour: str = "red", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), colour).save(buffer, "PNG", **options)
    return buffer.getvalue()


PNG = png()
BASE64 = base64.b64encode(PNG).decode()
UNPADDED = BASE64.rstrip("=")
PERCENT = BASE64.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


@pytest.mark.parametrize(
    "uri",
    [
        f"data:image/png;base64,{BASE64}",
        f"data:;base64,{BASE64}",
        f"data:image/jpeg;base64,{BASE64}",  # the bytes decide
        f"DATA:image/png;charset=x;name=a%20dog.png;BASE64,{BASE64}",
        f"  data:image/png;base64,{BASE64[:40]}\r\n {BASE64[40:]}\n",
        f"data:image/png;base64,{UNPADDED}",
        f"data:image/png;base64,{PERCENT}",
        f"data:image/png;base64,{base64.urlsafe_b64encode(PNG).decode()}",
    ],
)
def test_every_way_to_write_it_gives_the_same_pixels(uri: str) -> None:
    expected = load_image(PNG).tobytes()
    assert picture_from_data_uri(uri).tobytes() == expected
    assert load_image(uri).tobytes() == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("https://example.com/a.png", "picture: pictures are not fetched from the web; expected"),
        ("a dog", "picture: expected a URI that begins with data:image/jpeg;base64,, got 'a dog'"),
        (BASE64 * 99, r"got 'iVBORw0KGgoAAA.{10,70}\.\.\.'$"),
        ("data:image/png,%89PNG", "expected a URI that begins with .* got 'data:image/png,%89PNG'"),
        ("data:image/png;base64", "expected a URI that begins with"),
        (f"data:{'x' * 2000};base64,{BASE64}", "expected a URI that begins with"),
        ("data:image/png;base64,", "picture: empty"),
        ("data:image/png;base64,A", "picture: damaged base64"),
        ("data:image/png;base64,AAAA!AAA", "picture: damaged base64"),
        ("data:image/png;base64,\N{GREEK SMALL LETTER ALPHA}AAA", "picture: damaged base64"),
        ("data:image/png;base64,SGVsbG8=", "picture: not a picture, starts with b'Hello'"),
        (PNG, "picture: expected a URI .* got bytes"),
        (None, "picture: expected a URI .* got NoneType"),
    ],
)
def test_what_holds_no_picture_is_refused_in_one_line(given: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        picture_from_data_uri(given)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_bytes_and_pixels_are_limited() -> None:
    uri = f"data:image/png;base64,{BASE64}"
    size = len(PNG)
    picture_from_data_uri(uri, limits=ImageLimits(max_bytes=size, max_pixels=6))
    with pytest.raises(ImageError, match=rf"^photo 1: {size} bytes; at most {size - 1} are read$"):
        picture_from_data_uri(uri, limits=ImageLimits(max_bytes=size - 1), name="photo 1")
    with pytest.raises(ImageError, match="over 10 bytes; at most 10 are read"):
        picture_from_data_uri(uri + "A" * 2000, limits=ImageLimits(max_bytes=10))
    with pytest.raises(ImageError, match="3 x 2 = 6 pixels; at most 5 of a PNG are decoded"):
        picture_from_data_uri(uri, limits=ImageLimits(max_pixels=5))


def test_of_an_animation_only_the_first_frame_is_decoded() -> None:
    frames = [Image.new("RGB", (3, 2), "blue")] * 20
    animation = base64.b64encode(png(save_all=True, append_images=frames)).decode()
    image = picture_from_data_uri(f"data:image/png;base64,{animation}")
    assert image.getpixel((0, 0)) == (255, 0, 0)
