"""Files and folders by path or URL: of this machine, or of any store that fsspec knows.

What has ``://`` in it is a URL, such as ``s3://bucket/photos`` or ``memory://photos``; all else is
a path. A store needs its own package, as ``s3fs`` is for S3.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from openmmb.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True)
class Location:
    """A file or a folder, there or not.

    Attributes:
        fs: The fsspec file system that it is on.
        path: Its path there.
        name: What messages call it.
    """

    fs: Any
    path: str
    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def parent(self) -> "Location":
        """The folder that it is in."""
        path, name = (text.rpartition("/")[0] for text in (self.path, self.name))
        return Location(self.fs, path, name)

    def __truediv__(self, child: str) -> "Location":
        """Return what is called ``child`` in this folder."""
        inside = (f"{folder.rstrip('/')}/{child}" for folder in (self.path, self.name))
        return Location(self.fs, *inside)

    @property
    def local(self) -> Path | None:
        """Its path on this machine; None in a store."""
        return Path(self.path) if isinstance(self.fs, LocalFileSystem) else None

    @property
    def suffix(self) -> str:
        """What its name ends with, from the last dot on."""
        return PurePosixPath(self.path).suffix

    @property
    def stem(self) -> str:
        """Its name without folder and suffix."""
        return PurePosixPath(self.path).stem

    def exists(self) -> bool:
        """Say whether there is a file or a folder.

        Raises:
            DataError: The store cannot be reached, or one may not look.
        """
        self.fs.invalidate_cache()  # others write there too
        with self._reaching():
            return bool(self.fs.exists(self.path))

    def is_folder(self) -> bool:
        """Say whether it is a folder.

        Raises:
            DataError: The store cannot be reached, or one may not look.
        """
        with self._reaching():
            return bool(self.fs.isdir(self.path))

    def make_folder(self) -> None:
        """Make the folder and those above it, unless they are there."""
        self.fs.makedirs(self.path, exist_ok=True)

    def walk(self) -> list["Location"]:
        """List the files in the folder and in those below it, sorted."""
        if self.local is not None:  # fsspec follows links to folders, round and round
            root = Path(self.name)
            files = sorted(path for path in root.rglob("*") if path.is_file())
            return [Location(self.fs, str(path.absolute()), str(path)) for path in files]
        paths = sorted(self.fs.find(self.path))
        return [Location(self.fs, path, self.fs.unstrip_protocol(path)) for path in paths]

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each file in the folder, by name, sorted; empty without a folder."""
        self.fs.invalidate_cache()
        try:
            entries = self.fs.ls(self.path, detail=True)
        except FileNotFoundError:  # in an object store, so is a folder without files
            return {}
        files = {PurePosixPath(e["name"]).name: e["size"] for e in entries if e["type"] == "file"}
        return dict(sorted(files.items()))

    def open(self) -> Any:
        """Open the file for reading bytes."""
        return self.fs.open(self.path, "rb")

    def read(self, start: int = 0, count: int | None = None) -> bytes:
        """Read ``count`` bytes from ``start``, or all from there; no others are kept in memory."""
        with self.fs.open(self.path, "rb", cache_type="none") as file:
            file.seek(start)
            data: bytes = file.read(-1 if count is None else count)
        return data

    def remove(self) -> None:
        """Delete the file, if it is there."""
        if self.exists():
            self.fs.rm_file(self.path)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        # The store's package raises what it likes: a missing key or host has no class in common.
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{self}: cannot be reached: {reason}") from error


def open_location(location: Path | str) -> Location:
    """Find the file system of a path or URL; whether anything is there is not looked at.

    Raises:
        ConfigError: No such kind of URL, or the package for it is not installed.
    """
    if "://" not in str(location):
        return Location(LocalFileSystem(), str(Path(location).absolute()), str(location))
    try:
        fs, path = fsspec.url_to_fs(location)
    except (ValueError, ImportError) as error:
        raise ConfigError(f"{location}: {error}") from error
    if isinstance(fs, LocalFileSystem):
        return Location(fs, path, path)
    return Location(fs, path, str(location))
