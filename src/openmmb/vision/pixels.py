"""Whatever Pillow holds, as RGB the right way up.

Nothing here holds more than eight bytes a pixel besides what it is given.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from PIL import Image, TiffImagePlugin

from openmmb.errors import ImageError

DAMAGE: Final = (
    # Pillow has no error of its own for bad bytes: its decoders let through whatever their parsing
    # runs into. MemoryError: sizes that a damaged header invents. Warning: a program that turns
    # warnings into errors while a picture is being decoded.
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    LookupError,
    ArithmeticError,
    EOFError,
    BufferError,
    RuntimeError,
    MemoryError,
    Warning,
    Image.DecompressionBombError,
    struct.error,
    zlib.error,
)
"""What Pillow raises for damaged pictures."""

_ORIENTATION_TAG: Final = 0x0112
_UPRIGHT: Final = {  # EXIF orientation -> what turns the stored rows the right way up
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_TAG, _PHOTOMETRIC_TAG, _WHITE_IS_ZERO = 258, 262, 0
_BAND: Final = 2**20
"""Pixels that are converted at a time."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a picture that is loaded as new RGB pixels, in the order in which they are stored.

    Transparency is laid over white, 16-bit grey is scaled to 8. Colour profiles are not applied.

    Raises:
        ImageError: Its samples have no white, or its colours no way to RGB.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return _in_bands(image, _grey_reader(image))
    if image.mode in ("I", "F"):
        raise ImageError("32 bits a sample, which has no white; expected 8 or 16")
    if image.mode == "LAB":
        raise ImageError("colours in L*a*b*, which are not read; expected RGB, CMYK or grey")
    if image.mode.endswith(("A", "a")) or "transparency" in image.info:
        return _in_bands(image, _over_white)
    return image.convert("RGB")


def find_turn(image: Image.Image) -> Image.Transpose | None:
    """Return what turns a picture the right way up, as its EXIF says.

    EXIF that cannot be read counts as upright, as in every browser.
    """
    try:
        value = image.getexif().get(_ORIENTATION_TAG)
    except DAMAGE:
        return None
    return _UPRIGHT.get(value) if isinstance(value, int) else None  # a damaged tag holds anything


def finish(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    """Turn RGB pixels, and forget all that a file had said about them."""
    turned = image if turn is None else image.transpose(turn)
    turned.info = {}  # an orientation in there would turn the picture once more
    return turned


def bands(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Yield boxes of whole rows, about a million pixels each, from the top to the bottom."""
    width, height = size
    rows = max(1, _BAND // width)
    return ((0, top, width, min(top + rows, height)) for top in range(0, height, rows))


def reason(error: BaseException) -> str:
    """Return what an error of Pillow says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _in_bands(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert a picture some rows at a time: whole, each step would take a copy of it."""
    result = Image.new("RGB", image.size)
    for box in bands(image.size):
        result.paste(convert(image.crop(box)), box)
    return result


def _over_white(band: Image.Image) -> Image.Image:
    layer = (band.convert("LA") if band.mode == "La" else band).convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def _grey_reader(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Return what makes 8 bits of 16: Pillow's own conversion clips at 255, it does not divide."""
    import numpy as np  # rarely needed, and slower to load than the rest

    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    bits = tags.get(_BITS_TAG, 16)
    shift = 4 if bits in (12, (12,)) else 8
    inverted = tags.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO
    transparent = image.info.get("transparency")

    def read(band: Image.Image) -> Image.Image:
        values = np.asarray(band)
        grey = (values >> shift).astype(np.uint8)
        if inverted:
            grey = 255 - grey
        if isinstance(transparent, int):
            grey[values == transparent] = 255
        return Image.fromarray(grey).convert("RGB")

    return read
