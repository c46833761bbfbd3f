"""The bytes of a picture file to RGB, within a budget.

Imports as little as can be: a process that does nothing else starts with it.
"""

import io
import time
from dataclasses import dataclass
from typing import Final

from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from openmmb.errors import ImageError
from openmmb.quiet import no_warnings
from openmmb.vision import formats, jpeg
from openmmb.vision.formats import Format, find_format
from openmmb.vision.pixels import DAMAGE, find_turn, finish, reason, to_rgb

MAX_READS: Final = 2**18
"""How often Pillow may read from a file: each of a flood of empty parts takes it a few times."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What decoding may take.

    Attributes:
        pixels: Width times height.
        memory: Bytes.
        seconds: Of processor time.
    """

    pixels: int
    memory: int
    seconds: float


class _Metered(io.BytesIO):
    """A file in memory that ends what reads it too long or too often."""

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._reads = 0
        self._seconds = seconds
        self._end = time.thread_time() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise ImageError(f"in more than {MAX_READS} parts, which no program writes")
        if time.thread_time() > self._end:
            raise ImageError(too_slow(self._seconds))
        return super().read(size)


def too_slow(seconds: float) -> str:
    """Say that decoding took too long."""
    return f"decoding takes over {seconds:g} seconds; expected a picture that takes less"


def decode(data: bytes, kind: Format, budget: Budget) -> Image.Image:
    """Decode a picture into RGB, the right way up.

    Args:
        data: The file.
        kind: Its format.
        budget: What it may take. The number of pixels follows from the memory that the format
            takes for each; a JPEG that has more is decoded at a fraction of its size.

    Raises:
        ImageError: It is beyond the budget, or damaged. The message does not name the picture.
    """
    with no_warnings():  # Pillow's about odd files, about which nobody can do anything
        image = _open(_Metered(data, budget.seconds), kind, budget)
        try:
            if isinstance(image, JpegImagePlugin.JpegImageFile):
                scale = _find_scale(image.size, data, budget)
                width, height = image.size
                image.draft(None, (max(1, width // scale), max(1, height // scale)))
            else:
                check_pixels(image.size, kind, budget)
            image.load()
            turn = find_turn(image)
            rgb = to_rgb(image)
            image.close()  # before the turn, which takes as much again
            return finish(rgb, turn)
        except MemoryError as error:
            raise ImageError(too_much(budget)) from error
        except DAMAGE as error:
            raise ImageError(f"damaged {kind.name}: {reason(error)}") from error


def check_pixels(size: tuple[int, int], kind: Format | None, budget: Budget) -> None:
    """Refuse a picture of too many pixels.

    Args:
        size: Its width and height.
        kind: Its format; None where it is decoded already.
        budget: What it may take.

    Raises:
        ImageError: It has more than that.
    """
    width, height = size
    most = budget.pixels
    if kind is not None:
        most = min(most, budget.memory // kind.bytes_per_pixel)
    if width < 1 or height < 1:
        raise ImageError(f"{width} x {height} pixels; expected at least 1 x 1")
    if width * height > most:
        of = "" if kind is None else f" of a {kind.name}"
        raise ImageError(
            f"{width} x {height} = {width * height} pixels; at most {most}{of} are decoded"
        )


def can_load(image: Image.Image, data: bytes, budget: Budget) -> bool:
    """Return whether Pillow's own ``load`` gives what ``decode`` gives, and takes no more.

    Args:
        image: A file that Pillow has open.
        data: All of that file.
        budget: What decoding may take.

    Raises:
        ImageError: It is beyond the budget.
    """
    kind = find_format(data)
    if kind is None or kind.apart:
        return False
    if kind is formats.JPEG:
        return _find_scale(image.size, data, budget) == 1
    check_pixels(image.size, kind, budget)
    return True


def _open(file: io.BytesIO, kind: Format, budget: Budget) -> Image.Image:
    """Parse the header, and nothing more."""
    name = kind.name
    if kind is formats.HEIC:
        name = _register_heif()
    elif kind is formats.AVIF:
        _one_thread_for_avif()
    try:
        return Image.open(file, formats=(name,))
    except UnidentifiedImageError as error:
        raise ImageError(f"damaged {kind.name}: its header cannot be read") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{reason(error)}; at most {budget.pixels} pixels are decoded") from error
    except MemoryError as error:
        raise ImageError(too_much(budget)) from error
    except DAMAGE as error:
        raise ImageError(f"damaged header: {reason(error)}") from error


def _find_scale(size: tuple[int, int], data: bytes, budget: Budget) -> int:
    """Return the least of ``jpeg.SCALES`` at which a JPEG can be decoded."""
    structure = jpeg.read_structure(data)
    if structure.scans > jpeg.MAX_SCANS:
        raise ImageError(f"a JPEG of more than {jpeg.MAX_SCANS} scans, which no program writes")
    width, height = size
    for scale in jpeg.SCALES:
        pixels = -(-width // scale) * -(-height // scale)
        if pixels <= budget.pixels and structure.memory(width * height, scale) <= budget.memory:
            return scale
    raise ImageError(
        f"{width} x {height} = {width * height} pixels in {structure.scans} scans; decoding takes "
        f"{structure.memory(width * height, jpeg.SCALES[-1])} bytes, expected at most "
        f"{budget.memory}"
    )


def too_much(budget: Budget) -> str:
    """Say that decoding took too much memory."""
    return f"takes over {budget.memory} bytes to decode"


def _register_heif() -> str:
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError("HEIC picture: pip install 'openmmb[heic]'") from error
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.register_heif_opener()
    return "HEIF"


def _one_thread_for_avif() -> None:
    """Keep the decoder of AVIF to one thread, whose time and memory are limited."""
    from PIL import AvifImagePlugin

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
