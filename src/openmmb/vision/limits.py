"""What decoding a picture may take: bytes, pixels, memory, processor time."""

from typing import Final

from openmmb.config import config, require


@config
class ImageLimits:
    """What is refused, most of it before anything is decoded."""

    max_bytes: int = 32 * 2**20
    """Size of the file."""

    max_pixels: int = 50 * 10**6
    """Width times height. A JPEG that has more is decoded at a half, a quarter or an eighth."""

    max_memory: int = 512 * 2**20
    """Bytes that decoding takes at most, by what a pixel of the format takes."""

    max_seconds: float = 10.0
    """Processor time that decoding takes at most."""

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_pixels", "max_memory"):
            value = getattr(self, name)
            require(name, value, "at least 1", holds=value >= 1)
        require("max_seconds", self.max_seconds, "above 0", holds=self.max_seconds > 0)


DEFAULT_LIMITS: Final = ImageLimits()
"""For pictures of one's own."""

STRICT_LIMITS: Final = ImageLimits(
    max_bytes=12 * 2**20, max_pixels=25 * 10**6, max_memory=256 * 2**20, max_seconds=4.0
)
"""For pictures that strangers send."""
