"""A published file, fetched, unpacked and written down, once."""

import json
import os
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from openmmb.errors import DataError
from openmmb.files import PARTIAL, kept_aside, read_text, write_whole
from openmmb.tasks.download.resumable import Progress, digest_of, download
from openmmb.tasks.download.sources import Source
from openmmb.tasks.download.unpack import unpack

RECORD = "fetched.json"
"""Beside the files: where they came from."""


@dataclass(frozen=True)
class Entry:
    """What was made of one published file.

    Attributes:
        url: Where it was.
        digest: What it was.
        files: Names and sizes of what is kept of it.
    """

    url: str
    digest: str
    files: dict[str, int]


@dataclass(frozen=True)
class Fetched:
    """How it went.

    Attributes:
        folder: Where the files are.
        files: How many.
        before: Whether they had been fetched before.
    """

    folder: Path
    files: int
    before: bool


def fetch(
    source: Source,
    root: Path,
    *,
    progress: Progress | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Fetch a published file unless it has been.

    Whatever interrupts this, the same call goes on: the transfer where it was, the unpacking from
    the start. What came so far lies in a folder of this program's own, ``NAME.partial``. A file of
    the right content that somebody has put in its place is taken, and stays.

    Args:
        source: The file.
        root: The folder that holds all data sets.
        progress: Told about the bytes.
        wait: Sleeps so many seconds before another attempt.

    Raises:
        DataError: It cannot be had, is not what was published, or what was not fetched is in its
            place.
    """
    folder = root / source.folder
    record = _read_record(folder / RECORD)
    entry = record.get(source.name)
    if entry is not None and entry.digest == source.digest and _are_there(folder, entry.files):
        return Fetched(folder, len(entry.files), before=True)
    folder.mkdir(parents=True, exist_ok=True)
    own = () if entry is None else entry.files
    with kept_aside(folder / source.name, PARTIAL) as kept:
        path = folder / source.name
        if not _is(path, source.digest):
            path = kept / source.name
            if not _is(path, source.digest):
                _check_free(folder, source, own)
                get = partial(download, limit=source.limit, progress=progress, wait=wait)
                get(source.url, path, source.digest)
        if source.keep:
            files = unpack(path, folder, source.keep, limit=source.limit, own=own)
        else:
            files = {source.name: path.stat().st_size}
            path.replace(folder / source.name)
        record[source.name] = Entry(source.url, source.digest, files)
        _write_record(folder / RECORD, record)
    return Fetched(folder, len(files), before=False)


def _check_free(folder: Path, source: Source, own: Collection[str]) -> None:
    """See, before gigabytes are fetched, that nothing of somebody else's would be written over."""
    for name in source.keep or (source.name,):
        if "*" not in name and name not in own and os.path.lexists(folder / name):
            raise DataError(
                f"{folder / name}: is there, and was not fetched by this command; move it away to "
                "fetch it"
            )


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and digest_of(path, digest.partition(":")[0]) == digest


def _are_there(folder: Path, files: dict[str, int]) -> bool:
    paths = {folder / name: size for name, size in files.items()}
    return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())


def _read_record(path: Path) -> dict[str, Entry]:
    if not path.exists():
        return {}
    text = read_text(path, error=DataError)
    try:
        return TypeAdapter(dict[str, Entry]).validate_json(text)
    except ValidationError as error:
        what = error.errors(include_url=False)[0]["msg"]
        raise DataError(f"{path}: expected a record of this command: {what}; delete it") from None


def _write_record(path: Path, record: dict[str, Entry]) -> None:
    rows = {name: asdict(entry) for name, entry in sorted(record.items())}
    write_whole(path, json.dumps(rows, indent=2) + "\n")
