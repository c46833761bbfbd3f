"""Which pictures there are in folders, lists and archives, and under which ids."""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from openmmb.errors import DataError
from openmmb.vision.image import ImageLimits, load_image

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
"""What a picture's file name ends with, in any case; other files are counted and left alone."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Where a picture's bytes are.

    Attributes:
        image_id: The file's name without folder and suffix.
        name: What messages call it.
        path: The picture's file, or the archive that it is in.
        offset: Where in the archive it starts.
        size: Its bytes in the archive; None for a file of its own.
    """

    image_id: str
    name: str
    path: Path
    offset: int = 0
    size: int | None = None

    def load(self, limits: ImageLimits) -> Image.Image:
        """Decode it into RGB.

        Raises:
            ImageError: It is missing, beyond the limits, or not a picture.
        """
        if self.size is None:
            return load_image(self.path, limits=limits, name=self.name)
        with self.path.open("rb") as archive:
            archive.seek(self.offset)
            data = archive.read(min(self.size, limits.max_bytes + 1))
        return load_image(data, limits=limits, name=self.name)


def list_pictures(sources: Sequence[Path]) -> tuple[list[Picture], int]:
    """List all pictures of all sources in a fixed order, and count the other files.

    Args:
        sources: Folders (searched to any depth), ``.txt`` lists of files, one path a line, relative
            to the list, and uncompressed ``.tar`` archives.

    Raises:
        DataError: A source is missing or of no known kind, or two pictures have the same id.
    """
    pictures: dict[str, Picture] = {}
    others = 0
    for source in sources:
        for picture in _list_source(source):
            if not _looks_like_picture(picture.name):
                others += 1
            elif picture.image_id in pictures:
                first = pictures[picture.image_id].name
                raise DataError(
                    f"{picture.name}: same id {picture.image_id!r} as {first}; "
                    "file names without folder and suffix must differ"
                )
            else:
                pictures[picture.image_id] = picture
    return list(pictures.values()), others


def _looks_like_picture(name: str) -> bool:
    path = Path(name)
    hidden = path.name.startswith(".")  # macOS puts a "._x.jpg" that is none beside each "x.jpg"
    return path.suffix.lower() in SUFFIXES and not hidden


def _list_source(source: Path) -> Iterator[Picture]:
    if source.is_dir():
        paths = sorted(path for path in source.rglob("*") if path.is_file())
        yield from (Picture(path.stem, str(path), path) for path in paths)
    elif not source.exists():
        raise DataError(f"{source}: no such file or folder")
    elif source.suffix == ".txt":
        yield from _list_text(source)
    elif source.suffix == ".tar":
        yield from _list_tar(source)
    else:
        raise DataError(f"{source}: expected a folder, a .txt list of files or a .tar archive")


def _list_text(source: Path) -> Iterator[Picture]:
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: not a text file: {error.reason}") from error
    for line in filter(None, map(str.strip, lines)):
        path = source.parent / line
        yield Picture(path.stem, str(path), path)


def _list_tar(source: Path) -> Iterator[Picture]:
    try:
        with tarfile.open(source, "r:") as archive:
            members = [member for member in archive if member.isreg() and not member.issparse()]
    except tarfile.TarError as error:
        raise DataError(f"{source}: not an uncompressed tar archive: {error}") from error
    for member in members:
        stem = Path(member.name).stem
        name = f"{source}:{member.name}"
        yield Picture(stem, name, source, offset=member.offset_data, size=member.size)
