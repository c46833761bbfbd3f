"""What pictures are called: a picture's id is its file's name without folder and suffix."""

from pathlib import PurePosixPath
from typing import Final

SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"}
)
"""What a picture's file name ends with, in any case."""


def image_id_of(name: str) -> str:
    """Return the id of the picture in a file of this name, which may lack folder and suffix."""
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in SUFFIXES else path.name
