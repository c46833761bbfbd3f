"""What decoding a JPEG costs, read from its markers without decoding anything.

A progressive JPEG keeps a number for every sample while it is decoded, and goes over all of them
once a scan, however few bytes the scan has.
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_SCANS: Final = 100
"""Most scans of a picture; programs write 10, and at most a few dozen."""

SCALES: Final = (1, 2, 4, 8)
"""What a JPEG can be decoded at: all of it, a half, a quarter, an eighth."""

_MARKER: Final = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
_ALONE: Final = frozenset({0x01, 0xD8})  # without a length after them; so is EOI
_EOI, _SOS = 0xD9, 0xDA
_NO_FRAMES: Final = frozenset({0xC4, 0xC8, 0xCC})  # tables among the numbers of frames


@dataclass(frozen=True, slots=True)
class Structure:
    """What a JPEG's markers say.

    Attributes:
        scans: How many there are, counted to one more than ``MAX_SCANS``.
        samples_per_pixel: Numbers for each pixel, of all components.
    """

    scans: int
    samples_per_pixel: float

    def memory(self, pixels: int, scale: int) -> int:
        """Return the bytes that decoding ``pixels`` at 1 / ``scale`` takes at its peak."""
        kept = 2 * self.samples_per_pixel if self.scans > 1 else 0  # 16 bits each, to the end
        return int(pixels * (kept + 8 / scale**2))


def read_structure(data: bytes) -> Structure:
    """Go from marker to marker, as a decoder does; damage is left for it to report."""
    scans, samples, start = 0, 3.0, 2
    while scans <= MAX_SCANS and (match := _MARKER.search(data, start)):
        marker, start = match[1][0], match.end()
        if marker in _ALONE:
            continue
        if marker == _EOI:
            break
        length = int.from_bytes(data[start : start + 2], "big")
        if marker == _SOS:
            scans += 1
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            samples = _samples_per_pixel(data[start + 2 : start + length])
        start += max(length, 2)
    return Structure(scans, samples)


def _samples_per_pixel(frame: bytes) -> float:
    """Return how many samples a pixel has, from the sampling factors of a frame's components."""
    factors = (
        [(byte >> 4, byte & 15) for byte in frame[7 : 6 + 3 * frame[5] : 3]] if frame[5:] else []
    )
    widest = max((x for x, _ in factors), default=1) or 1
    tallest = max((y for _, y in factors), default=1) or 1
    return sum(x * y for x, y in factors) / (widest * tallest) or 3.0
