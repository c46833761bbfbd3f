"""Which pictures there are in folders, lists and archives, and under which ids."""

import posixpath
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from openmmb.errors import DataError, ImageError
from openmmb.files import decode_text
from openmmb.vision.features.locations import Location, open_location
from openmmb.vision.image import load_image
from openmmb.vision.image_ids import SUFFIXES
from openmmb.vision.limits import ImageLimits


@dataclass(frozen=True, slots=True)
class Picture:
    """Where a picture's bytes are.

    Attributes:
        image_id: The file's name without folder and suffix.
        name: What messages call it.
        location: The picture's file, or the archive that it is in.
        offset: Where in the archive it starts.
        size: Its bytes in the archive; None for a file of its own.
    """

    image_id: str
    name: str
    location: Location
    offset: int = 0
    size: int | None = None

    def load(self, limits: ImageLimits) -> Image.Image:
        """Decode it into RGB; of one that is too large, no more is read than shows it.

        Raises:
            ImageError: It is missing, beyond the limits, or not a picture.
        """
        if self.size is None and self.location.local is not None:
            return load_image(self.location.local, limits=limits, name=self.name)
        self._check(self.size or 0, limits)
        count = limits.max_bytes + 1 if self.size is None else self.size
        try:
            data = self.location.read(self.offset, count)
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            raise ImageError(f"{self.name}: {error.strerror or error}") from error
        self._check(len(data), limits)
        return load_image(data, limits=limits, name=self.name)

    def _check(self, size: int, limits: ImageLimits) -> None:
        if size > limits.max_bytes:
            told = f"over {limits.max_bytes}" if self.size is None else str(size)
            raise ImageError(f"{self.name}: {told} bytes; at most {limits.max_bytes} are read")


def list_pictures(sources: Sequence[Path | str]) -> tuple[list[Picture], int]:
    """List all pictures of all sources in a fixed order, and count the other files.

    Args:
        sources: Paths or URLs of folders (searched to any depth), ``.txt`` lists of files, one path
            or URL a line, relative to the list, and uncompressed ``.tar`` archives. An archive in a
            store is read once from end to end to list it.

    Raises:
        ConfigError: A URL is of no known kind.
        DataError: A source is missing or of no known kind, two pictures have the same id, a name is
            not UTF-8, or there is no picture at all.
    """
    pictures: dict[str, Picture] = {}
    others = 0
    for source in sources:
        for picture in _list_source(open_location(source)):
            if not _looks_like_picture(picture.name):
                others += 1
            elif picture.image_id in pictures:
                first = pictures[picture.image_id].name
                raise DataError(
                    f"{picture.name}: same id {picture.image_id!r} as {first}; "
                    "file names without folder and suffix must differ"
                )
            else:
                _check_id(picture)
                pictures[picture.image_id] = picture
    if not pictures:
        left_out = f"; files of other kinds: {others}" if others else ""
        raise DataError(f"{', '.join(map(str, sources))}: no pictures{left_out}")
    return list(pictures.values()), others


def _check_id(picture: Picture) -> None:
    try:
        picture.image_id.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{picture.name!r}: name is not UTF-8; rename it") from error


def _looks_like_picture(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = path.name.startswith(".")  # macOS puts a "._x.jpg" that is none beside each "x.jpg"
    return path.suffix.lower() in SUFFIXES and not hidden


def _list_source(source: Location) -> Iterator[Picture]:
    if source.is_folder():
        yield from (Picture(location.stem, str(location), location) for location in source.walk())
    elif not source.exists():
        raise DataError(f"{source}: no such file or folder")
    elif source.suffix == ".txt":
        yield from _list_text(source)
    elif source.suffix == ".tar":
        yield from _list_tar(source)
    else:
        raise DataError(f"{source}: expected a folder, a .txt list of files or a .tar archive")


def _list_text(source: Location) -> Iterator[Picture]:
    lines = decode_text(source.read(), str(source), error=DataError).splitlines()
    folder = posixpath.dirname(str(source))
    for line in filter(None, map(str.strip, lines)):
        location = open_location(line if "://" in line else posixpath.join(folder, line))
        yield Picture(location.stem, str(location), location)


def _list_tar(source: Location) -> Iterator[Picture]:
    try:
        with source.open() as file, tarfile.open(fileobj=file, mode="r:") as archive:
            members = archive.getmembers()
            _check_end(archive, file, source)
    except tarfile.TarError as error:
        raise DataError(f"{source}: not an uncompressed tar archive: {error}") from error
    for member in members:
        if member.isreg() and not member.issparse():
            stem = PurePosixPath(member.name).stem
            name = f"{source}:{member.name}"
            yield Picture(stem, name, source, offset=member.offset_data, size=member.size)


def _check_end(archive: tarfile.TarFile, file: Any, source: Location) -> None:
    """Refuse an archive that was cut off or damaged: tarfile takes that for its end.

    A whole one ends with blocks of zeros, after which some programs fill it up with anything.
    """
    file.seek(archive.offset)
    block = file.read(tarfile.BLOCKSIZE)
    if block == bytes(tarfile.BLOCKSIZE):
        return
    after = f"after {len(archive.getmembers())} files, at byte {archive.offset}"
    if len(block) < tarfile.BLOCKSIZE:
        raise DataError(f"{source}: cut off {after}; expected a whole tar archive, get it again")
    raise DataError(f"{source}: damaged {after}; expected a whole tar archive, get it again")
