"""Files written whole, and files of others read with one line for whatever is wrong with them."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from openmmb.errors import ConfigError, OpenMMBError

PARTIAL = ".partial"
"""Ends the name of what is being written."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside ``path`` to write to, and move what is there into its place at the end.

    Whoever reads ``path`` finds what was there before or what was written, never a part of it.
    Works for a file, and for a folder that the caller makes. Whatever goes wrong meanwhile, the
    half is removed and what was there before stays.

    Raises:
        OSError: It cannot be written.
    """
    partial = path.with_name(f"{path.name}{PARTIAL}")
    remove(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        if partial.is_dir():
            replace_folder(partial, path)
        else:
            sync(partial)
            partial.replace(path)
    except BaseException:
        remove(partial)
        raise


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
    renames the old one stands beside its place, with ``.replaced`` after its name.

    Raises:
        OSError: One of them cannot be moved.
    """
    for path in new.iterdir():
        sync(path)
    aside = old.with_name(f"{old.name}.replaced")
    remove(aside)
    if old.exists():
        old.rename(aside)
    new.rename(old)
    sync(old.parent)
    remove(aside)


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
        with path.open(encoding="utf-8-sig", newline=newline) as file:
            yield file
    except OSError as failure:
        raise error(f"{path}: {failure.strerror or failure}") from failure
    except UnicodeDecodeError as failure:
        raise error(f"{path}: expected text in UTF-8: {failure.reason}") from failure


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
