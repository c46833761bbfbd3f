"""Files written whole, and files of others read with one line for whatever is wrong with them."""

import errno
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from openmmb.errors import ConfigError, OpenMMBError

if sys.platform != "win32":
    import fcntl

PARTIAL = ".partial"
"""Ends the name of what is being written."""
REPLACED = ".replaced"
"""Ends the name of what holds a folder while another takes its place."""
OWN = ".openmmb"
"""An empty file in each folder that this program makes for a moment and removes."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside ``path`` to write to, and move what is there into its place at the end.

    Whoever reads ``path`` finds what was there before or what was written, never a part of it.
    Works for a file, and for a folder that the caller makes. Whatever goes wrong meanwhile, the
    half is removed and what was there before stays. A link stays one: what it leads to is replaced.

    Raises:
        OSError: It cannot be written.
    """
    path = Path(os.path.realpath(path))
    with aside(path, PARTIAL) as folder:
        new = folder / path.name
        yield new
        if new.is_dir():
            replace_folder(new, path)
        else:
            sync(new)
            new.replace(path)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that nobody ever finds a part of it; text as UTF-8.

    Raises:
        OSError: It cannot be written.
    """
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def replace_folder(new: Path, old: Path) -> None:
    """Put the folder ``new`` in the place of ``old``, if there is one.

    Whatever interrupts this, a crash of the machine too, one of the two is whole; between two
    renames the old one stands beside its place, in a folder with ``.replaced`` after its name.

    Raises:
        OSError: One of them cannot be moved.
    """
    for path in new.iterdir():
        sync(path)
    folder, mark = _make_aside(old, REPLACED)
    with mark:
        before = folder / old.name
        if os.path.lexists(old):
            old.rename(before)
        try:
            new.rename(old)
        except OSError:
            if os.path.lexists(before):
                before.rename(old)
            _remove_aside(folder)
            raise
        sync(old.parent)
        _remove_aside(folder)


@contextmanager
def aside(path: Path, ending: str) -> Iterator[Path]:
    """Make an empty folder beside ``path`` for as long as the block lasts.

    Its name ends in ``ending``, and a number where there is something of that name: nothing is
    removed but what a killed process has left there, which is known by the file ``OWN`` in it.

    Raises:
        OSError: It cannot be made.
    """
    folder, mark = _make_aside(path, ending)
    with mark:
        try:
            yield folder
        finally:
            _remove_aside(folder)


@contextmanager
def kept_aside(path: Path, ending: str) -> Iterator[Path]:
    """Make a folder as ``aside`` does, that stays with what is in it where the block fails.

    The next call gives the same one, so that what took long can be gone on with.

    Raises:
        OSError: It cannot be made.
    """
    folder, mark = _make_aside(path, ending, keeps=True)
    with mark:
        try:
            yield folder
        except BaseException:  # a killed process would have left it too
            if len(list(folder.iterdir())) == 1:  # its mark
                _remove_aside(folder)
            raise
        _remove_aside(folder)


def _make_aside(path: Path, ending: str, *, keeps: bool = False) -> tuple[Path, TextIO]:
    """Make an empty folder beside ``path``; it is in use until its mark is closed.

    Args:
        path: What it stands beside.
        ending: Ends its name.
        keeps: Take one that was left, with what is in it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in count():
        folder = path.with_name(f"{path.name}{ending}" + (f"-{number}" if number else ""))
        if _is_left(folder):
            if keeps:
                mark = (folder / OWN).open("w")
                if _lock(mark):
                    return folder, mark
                mark.close()  # another process has come first
                continue
            _remove_aside(folder)
        with suppress(FileExistsError):
            folder.mkdir()
            mark = (folder / OWN).open("w")
            _lock(mark)
            return folder, mark
    raise AssertionError


def _is_left(folder: Path) -> bool:
    """Say whether a folder is one that a killed process has left."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    entries = list(folder.iterdir())
    if folder / OWN not in entries:
        return not entries  # killed before it could mark it, or after it had removed the rest
    try:
        with (folder / OWN).open("a") as mark:
            return _lock(mark)
    except OSError:
        return False


def _lock(file: TextIO) -> bool:
    """Hold a file until it is closed; say whether nobody else does."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _remove_aside(folder: Path) -> None:
    """Remove a folder; its mark goes last, so that whatever a killed process leaves is known."""
    with suppress(OSError):
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == OWN):
            remove(entry)
        folder.rmdir()


def keep_rest(old: Path, new: Path) -> None:
    """Copy what only the folder ``old`` has, if it is there, into the one that is to replace it.

    Raises:
        OSError: It cannot be copied.
    """
    for entry in old.iterdir() if old.is_dir() else ():
        copy = new / entry.name
        if os.path.lexists(copy):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, copy, symlinks=True)
        else:
            shutil.copy2(entry, copy, follow_symlinks=False)


def cache_folder() -> Path:
    """Return where this project keeps what it can make again: ``~/.cache/openmmb``.

    ``$XDG_CACHE_HOME/openmmb``, where that is set.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openmmb"


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def read_text(path: Path, *, error: type[OpenMMBError] = ConfigError) -> str:
    """Read a text file in UTF-8, with or without the mark that some editors put before it.

    Raises:
        OpenMMBError: Of the kind ``error``: it is missing, cannot be read, or is not UTF-8.
    """
    with open_text(path, error=error) as file:
        return file.read()


@contextmanager
def open_text(
    path: Path, *, error: type[OpenMMBError] = ConfigError, newline: str | None = None
) -> Iterator[TextIO]:
    """Open a text file in UTF-8 to read it piece by piece.

    Args:
        path: The file; a mark that some editors put before the text is left out.
        error: What is raised where it cannot be read.
        newline: As ``open`` has it; ``""`` leaves the ends of lines as they are.

    Raises:
        OpenMMBError: Of the kind ``error``: it is missing, cannot be read, or is not UTF-8.
    """
    try:
        with open_bytes(path) as raw, TextIOWrapper(raw, "utf-8-sig", newline=newline) as file:
            yield file
    except OSError as failure:
        raise error(f"{path}: {failure.strerror or failure}") from failure
    except UnicodeDecodeError as failure:
        raise error(f"{path}: expected text in UTF-8: {failure.reason}") from failure


def open_bytes(path: Path) -> BinaryIO:
    """Open a file to read it, or a pipe that somebody writes to; never one that has no end.

    Raises:
        OSError: It is missing, may not be read, is a device, or has a name that no file has.
    """
    try:
        return open(path, "rb", opener=_open_finite)
    except ValueError as error:  # a null byte in its name
        raise OSError(errno.EINVAL, str(error), str(path)) from error


def _open_finite(path: str, flags: int) -> int:
    # Opening a pipe would wait for somebody who writes to it, who may never come.
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(mode := os.fstat(handle).st_mode) or stat.S_ISDIR(mode):
        return handle
    if not stat.S_ISFIFO(mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "is a device; expected a file", path)
    os.set_blocking(handle, True)
    return handle


def decode_text(data: bytes, source: str, *, error: type[OpenMMBError] = ConfigError) -> str:
    """Return text that was read as bytes, from a store for example.

    Raises:
        OpenMMBError: Of the kind ``error``: it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise error(f"{source}: expected text in UTF-8: {failure.reason}") from failure


def read_json(path: Path, *, error: type[OpenMMBError] = ConfigError) -> Any:
    """Read a JSON file.

    Raises:
        OpenMMBError: Of the kind ``error``: it cannot be read, or is not JSON.
    """
    return parse_json(read_text(path, error=error), str(path), error=error)


def parse_json(text: str | bytes, source: str, *, error: type[OpenMMBError] = ConfigError) -> Any:
    """Parse JSON, whoever wrote it.

    Raises:
        OpenMMBError: Of the kind ``error``: it is not JSON; ``source`` begins the message.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as failure:
        where = f"line {failure.lineno} column {failure.colno}"
        raise error(f"{source}: expected JSON: {failure.msg} at {where}") from None
    except RecursionError:
        raise error(f"{source}: expected JSON: it is nested too deeply") from None
    except ValueError as failure:  # bytes that are no text, a number of thousands of digits
        raise error(f"{source}: expected JSON: {str(failure).partition(';')[0]}") from None


def sync(path: Path) -> None:
    """Have the disk itself hold a file or a folder.

    Raises:
        OSError: The disk does not take it.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
