"""From bytes that anyone may have sent to checked RGB pixels.

The limits hold before anything is decoded, and whatever the bytes are, the only error that comes
out is ImageError. How long decoding may take is not limited here. Any number of threads may decode
at once.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from openmmb.config import config
from openmmb.errors import ImageError
from openmmb.quiet import no_warnings

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""What opens; an animation gives its first frame. Pillow's other decoders are never reached."""


@config
class ImageLimits:
    """What is refused before it is decoded."""

    max_bytes: int = 32 * 2**20
    """Size of the file."""

    max_pixels: int = 64 * 10**6
    """Width times height. Pillow itself stops at twice its `MAX_IMAGE_PIXELS`, 179 million."""

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_pixels < 1:
            raise ValueError(
                f"max_bytes and max_pixels must be at least 1, "
                f"got {self.max_bytes} and {self.max_pixels}"
            )


DEFAULT_LIMITS: Final = ImageLimits()

_DAMAGE: Final = (
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


def load_image(
    source: Path | bytes, *, limits: ImageLimits = DEFAULT_LIMITS, name: str | None = None
) -> Image.Image:
    """Decode a picture into RGB, the right way up.

    The EXIF orientation is applied, transparency is laid over white, 16-bit grey is scaled to 8.
    Colour profiles are not applied.

    Args:
        source: A file, or the bytes of one.
        limits: What to refuse before decoding.
        name: What errors call the picture: by default the path, or ``picture`` for bytes.

    Raises:
        ImageError: The file is missing, empty, beyond the limits, of another format, or damaged.
    """
    if name is None:
        name = str(source) if isinstance(source, Path) else "picture"
    data = _read(source, limits.max_bytes, name)
    with no_warnings():  # Pillow's about odd files, about which nobody can do anything
        image = _open(data, limits.max_pixels, name)
        try:
            image.load()
            return _upright(_to_rgb(image, name), _orientation(image))
        except _DAMAGE as error:
            raise ImageError(f"{name}: damaged {image.format}: {_reason(error)}") from error


def _read(source: Path | bytes, max_bytes: int, name: str) -> bytes:
    if isinstance(source, bytes):
        data = source
    else:
        try:
            if source.exists() and not source.is_file():  # reading a pipe or a device may not end
                raise ImageError(f"{name}: not a file; expected a picture file")
            with source.open("rb") as file:
                data = file.read(max_bytes + 1)
        except OSError as error:
            raise ImageError(f"{name}: {error.strerror}") from error
        except ValueError as error:  # a path with a null byte
            raise ImageError(f"{name!r}: {error}") from error
    if not data:
        raise ImageError(f"{name}: empty; expected a picture")
    if len(data) > max_bytes:
        size = f"{len(data)} bytes" if isinstance(source, bytes) else f"over {max_bytes} bytes"
        raise ImageError(f"{name}: {size}; at most {max_bytes} are read")
    return data


def _open(data: bytes, max_pixels: int, name: str) -> Image.Image:
    """Parse the header, and nothing more."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        known = f"expected {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        raise ImageError(f"{name}: not a picture, starts with {data[:12]!r}; {known}") from error
    except Image.DecompressionBombError as error:
        message = f"{name}: {_reason(error)}; at most {max_pixels} pixels are decoded"
        raise ImageError(message) from error
    except _DAMAGE as error:
        raise ImageError(f"{name}: damaged header: {_reason(error)}") from error
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"{name}: {width} x {height} pixels; expected at least 1 x 1")
    if width * height > max_pixels:
        count = f"{width} x {height} = {width * height} pixels"
        raise ImageError(f"{name}: {count}; at most {max_pixels} are decoded")
    return image


def _orientation(image: Image.Image) -> int:
    """Read the EXIF orientation; unreadable EXIF counts as upright, as in every browser."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG)
    except _DAMAGE:
        return 1
    return value if isinstance(value, int) else 1  # a damaged tag may hold anything


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        # Pillow's own conversion clips at 255 where it should divide.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ImageError(f"{name}: 32 bits a sample, which has no white; expected 8 or 16")
    if image.mode.endswith(("A", "a")) or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
