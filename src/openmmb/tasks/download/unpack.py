"""Archives, of which only named files come out, and only into one folder.

A file goes into the folder under its last name, so no path of an archive can lead elsewhere; links
and devices are refused, and so is what would be more than was expected.
"""

import errno
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from filecmp import cmp
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Self

from openmmb.errors import DataError, shorten
from openmmb.files import aside
from openmmb.outputs import check_file

_CHUNK = 2**20
_MOST_MEMBERS = 500_000
_LONGEST_HEADER = 2**20
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    *(ValueError, OverflowError, IndexError, KeyError, RecursionError, MemoryError, struct.error),
)
_UNREADABLE = (NotImplementedError, RuntimeError)  # how zipfile says that it cannot decrypt


class _Header(tarfile.TarInfo):
    """A header of a tar archive; where Python's takes one that is damaged for the end, this raises.

    Raises:
        tarfile.ReadError: It is cut or damaged, or the archive has no end.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {archive.offset}; it is cut") from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.size > _LONGEST_HEADER and header.type in _NAMING:
            raise tarfile.ReadError(f"a name of {header.size} bytes")
        return header


_NAMING = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
"""Kinds of headers whose content, read whole, is of the next one."""


@dataclass(frozen=True)
class _Member:
    name: str
    regular: bool
    open: Callable[[], IO[bytes] | None]


def unpack(
    archive: Path,
    folder: Path,
    keep: Sequence[str],
    *,
    limit: int,
    own: Collection[str] = (),
) -> dict[str, int]:
    """Take files out of a tar archive, compressed or not, or a zip archive.

    They appear in ``folder`` only after all of them are whole.

    Args:
        archive: The file; what it is, is read off its content.
        folder: Where they go; must be there.
        keep: Which are taken, by patterns of their names without folders. A pattern without ``*``
            must be there.
        limit: Most bytes of all together.
        own: Names of files in ``folder`` that may be replaced.

    Returns:
        Their names and sizes.

    Raises:
        DataError: The archive is damaged, lacks a file, has one twice, has a link in the place of
            one, or is over the limit; or a file of another content is in the place of one.
    """
    with aside(folder / archive.name, ".unpacking") as unpacked:
        try:
            sizes = _take(archive, unpacked, keep, limit)
        except (*_DAMAGED, *_UNREADABLE, OSError) as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # our disk's
                raise
            reason = shorten(" ".join(str(error).split())) or type(error).__name__
            raise DataError(f"{archive}: not an archive that can be read: {reason}") from error
        for pattern in keep:
            if "*" not in pattern and pattern not in sizes:
                raise DataError(f"{archive}: no file {pattern!r} in it")
        for name in sizes.keys() - set(own):
            same = partial(cmp, unpacked / name, shallow=False)
            check_file(folder / name, "what is fetched", same, error=DataError)
        for name in sizes:
            (unpacked / name).replace(folder / name)
    return sizes


def _take(archive: Path, folder: Path, keep: Sequence[str], limit: int) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for member in _members(archive):
        name = PurePosixPath(member.name.replace("\\", "/")).name
        if name.startswith(".") or not any(fnmatchcase(name, pattern) for pattern in keep):
            continue
        if not member.regular:
            raise DataError(f"{archive}: {member.name!r} is not a plain file; it is not unpacked")
        if name in sizes:
            raise DataError(f"{archive}: {name!r} is in it twice")
        stream = member.open()
        if stream is None:
            raise DataError(f"{archive}: {member.name!r} has no content")
        limit_left = limit - sum(sizes.values())
        with stream, (folder / name).open("wb") as file:
            sizes[name] = _copy(stream, file, limit_left)
        if sizes[name] > limit_left:
            raise DataError(f"{archive}: more than {limit} bytes in it; it is not unpacked")
    return sizes


def _copy(stream: IO[bytes], file: IO[bytes], limit_left: int) -> int:
    """Copy until the end, or until there is more than ``limit_left``; return how much there was."""
    done = 0
    while done <= limit_left and (chunk := stream.read(_CHUNK)):
        file.write(chunk)
        done += len(chunk)
    return done


def _members(archive: Path) -> Iterator[_Member]:
    """Yield what is not a folder; what a member opens lasts until the next one."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if not info.is_dir():
                    kind = stat.S_IFMT(info.external_attr >> 16)
                    regular = kind in (0, stat.S_IFREG)  # 0: not written on Unix
                    yield _Member(info.filename, regular, partial(zipped.open, info))
        return
    with tarfile.open(archive, "r:*", tarinfo=_Header) as tarred:
        for number, member in enumerate(tarred):
            if number == _MOST_MEMBERS:
                raise tarfile.ReadError(f"more than {number} files")
            if not member.isdir():
                yield _Member(member.name, member.isreg(), partial(tarred.extractfile, member))
