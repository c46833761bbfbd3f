"""Which formats there are, how their files begin, and what decoding them costs."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of picture file.

    Attributes:
        name: As Pillow calls it.
        bytes_per_pixel: What decoding takes at its peak, from the first byte to upright RGB.
            Measured; of JPEG, `jpeg.Structure` knows more.
        apart: Whether it is decoded in a process of its own: its decoder is one call that nothing
            stops, writes to standard error, or runs in Python.
    """

    name: str
    bytes_per_pixel: int
    apart: bool = False


JPEG: Final = Format("JPEG", 8)
PNG: Final = Format("PNG", 8)
WEBP: Final = Format("WEBP", 24, apart=True)  # what its codes take, its pixels do not tell
GIF: Final = Format("GIF", 8)
BMP: Final = Format("BMP", 8, apart=True)
TIFF: Final = Format("TIFF", 10, apart=True)
AVIF: Final = Format("AVIF", 11, apart=True)
HEIC: Final = Format("HEIC", 11, apart=True)

FORMATS: Final = (JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF, HEIC)
"""What opens; of more than one frame, the first. Pillow's other decoders are never reached."""

_BEGINNINGS: Final = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"BM", BMP),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),  # BigTIFF
    (b"MM\0+", TIFF),
)
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_HEIC_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)


def find_format(data: bytes) -> Format | None:
    """Return the format of a picture file by how it begins; None of what is no picture."""
    for beginning, kind in _BEGINNINGS:
        if data.startswith(beginning):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data[4:8] == b"ftyp":
        return _find_brand(data)
    return None


def _find_brand(data: bytes) -> Format | None:
    """Return the format of an ISO media file: its own brand, then those it is compatible with."""
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, end, 4))]
    if not _AVIF_BRANDS.isdisjoint(brands):
        return AVIF
    return None if _HEIC_BRANDS.isdisjoint(brands) else HEIC
