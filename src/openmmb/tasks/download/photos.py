"""Photographs, one by one; what cannot be had is skipped and written down."""

import json
import os
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from openmmb.errors import DataError
from openmmb.files import PARTIAL, aside, parse_json, read_text, write_whole
from openmmb.outputs import check_file
from openmmb.tasks.download.pace import Pace
from openmmb.tasks.download.resumable import Progress, UnreachableError, receive
from openmmb.tasks.download.sources import Photos

REPORT = "missing.jsonl"
"""In the folder of the photographs: an object a line for each that could not be had, and why."""
LIMIT = 32 * 2**20
"""Most bytes of one photograph."""
LONGEST_S = 600.0
"""Longest time of one photograph."""
AT_ONCE = 256
"""Photographs that are under way or waiting, between two looks at how it goes."""
_ID = re.compile(r"[0-9a-f]{8,64}")
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class PhotoReport:
    """How it went.

    Attributes:
        folder: Where the photographs are.
        fetched: How many came.
        before: How many were there.
        missing: Why others could not be had, by image id; also in the file ``REPORT``.
    """

    folder: Path
    fetched: int
    before: int
    missing: dict[str, str]


def fetch_photos(
    photos: Photos,
    image_ids: Iterable[str],
    root: Path,
    *,
    workers: int = 16,
    progress: Progress | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> PhotoReport:
    """Fetch the photographs that are not there yet.

    Args:
        photos: Where they are.
        image_ids: Which.
        root: The folder that holds all data sets.
        workers: Connections at a time.
        progress: Told how many are done and how many there are.
        wait: Sleeps so many seconds before another attempt.

    Raises:
        UnreachableError: The server cannot be reached; the same call goes on later.
        DataError: Somebody's file is in the place of the report.
    """
    folder = root / photos.folder
    folder.mkdir(parents=True, exist_ok=True)
    check_file(folder / REPORT, "a report of missing photographs", _is_report, error=DataError)
    wanted = sorted(set(image_ids))
    absent = [image_id for image_id in wanted if not (folder / f"{image_id}.jpg").is_file()]
    before = len(wanted) - len(absent)
    missing: dict[str, str] = {}
    with aside(folder, PARTIAL) as unfinished:

        def one(image_id: str) -> str | None:
            return _fetch(photos, image_id, folder, unfinished, wait)

        pool = ThreadPoolExecutor(workers)
        try:
            for start in range(0, len(absent), AT_ONCE):
                chunk = absent[start : start + AT_ONCE]
                reasons = zip(chunk, pool.map(one, chunk), strict=True)
                missing |= {image_id: reason for image_id, reason in reasons if reason is not None}
                if progress is not None:
                    progress(before + start + len(chunk), len(wanted))
        finally:
            pool.shutdown(cancel_futures=True)
            _write_report(folder / REPORT, missing)
    return PhotoReport(folder, len(absent) - len(missing), before, missing)


def _fetch(
    photos: Photos, image_id: str, folder: Path, unfinished: Path, wait: Callable[[float], None]
) -> str | None:
    """Fetch one; return why it cannot be had, if so."""
    if not _ID.fullmatch(image_id):
        return "the id is not one of these photographs"
    target, partial = folder / f"{image_id}.jpg", unfinished / f"{image_id}.jpg"
    if os.path.lexists(target):  # and is no file
        return f"{target}: is there, and is not a photograph; move it away to fetch it"
    try:
        receive(photos.url_of(image_id), partial, limit=LIMIT, wait=wait, pace=Pace(LONGEST_S))
    except UnreachableError:
        raise
    except DataError as error:
        partial.unlink(missing_ok=True)
        return str(error)
    with partial.open("rb") as file:
        is_jpeg = file.read(len(_JPEG)) == _JPEG
    if not is_jpeg:
        partial.unlink()
        return f"{photos.url_of(image_id)}: what came is not a JPEG file"
    partial.replace(target)
    return None


def _is_report(path: Path) -> bool:
    """Say whether a file is one that ``fetch_photos`` wrote."""
    try:
        lines = read_text(path, error=DataError).splitlines()
        rows = [parse_json(line, str(path), error=DataError) for line in lines]
    except DataError:
        return False
    return all(isinstance(row, dict) and row.keys() == {"image_id", "reason"} for row in rows)


def _write_report(path: Path, missing: dict[str, str]) -> None:
    rows = ({"image_id": image_id, "reason": missing[image_id]} for image_id in sorted(missing))
    write_whole(path, "".join(f"{json.dumps(row)}\n" for row in rows))
