"""Files over HTTP: gone on with where they broke off, checked, and there whole or not at all."""

import hashlib
import http.client
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from openmmb.errors import DataError, shorten
from openmmb.files import PARTIAL
from openmmb.tasks.download.pace import OverdueError, Pace, TooSlowError, build_opener

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and those there will be."""

ATTEMPTS: Final = 5
"""Connections in a row that bring nothing new, before it is given up."""
TIMEOUT_S: Final = 30.0
"""Longest silence of a server."""
CHUNK: Final = 2**20
LONGEST_NUMBER: Final = 18
"""Most digits of a length that a server gives."""
TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers of a server that may be other ones a moment later."""
NOT_THERE: Final = frozenset({403, 404, 410})
"""Answers of a server that has no such file; the one of YFCC's photographs says 403 or 404."""


class MissingError(DataError):
    """The server has no such file."""


class UnreachableError(DataError):
    """The server cannot be reached, or breaks off again and again."""


class _BrokenError(Exception):
    """This attempt has failed; another one may not."""


class _SlowError(_BrokenError):
    """This attempt has failed, whatever it has brought."""


def download(
    url: str,
    path: Path,
    digest: str,
    *,
    limit: int,
    progress: Progress | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Fetch a file whose content is known.

    What is there so far lies beside it as ``NAME.partial``. Where that does not lead to the right
    content, it is thrown away and fetched once more from the start.

    Args:
        url: Where the file is.
        path: Where it goes; its folder must be there.
        digest: ``sha256:`` or ``git:`` and what its content must hash to.
        limit: Most bytes.
        progress: Told about the bytes.
        wait: Sleeps so many seconds before another attempt.

    Raises:
        MissingError: The server has no such file.
        UnreachableError: The server cannot be reached.
        DataError: The server has another file, a larger one, or the disk is too small.
    """
    partial = path.with_name(f"{path.name}{PARTIAL}")
    begun = True
    while begun:
        begun = partial.exists()
        receive(url, partial, limit=limit, progress=progress, wait=wait)
        actual = digest_of(partial, digest.partition(":")[0])
        if actual == digest:
            partial.replace(path)
            return
        partial.unlink()
    raise DataError(f"{url}: its content has {actual}, expected {digest}; nothing was kept")


def receive(
    url: str,
    partial: Path,
    *,
    limit: int,
    progress: Progress | None = None,
    wait: Callable[[float], None] = time.sleep,
    pace: Pace | None = None,
) -> None:
    """Fetch a file, or the rest of it, in as many attempts as bring something new.

    Args:
        url: Where the file is.
        partial: Where it goes.
        limit: Most bytes.
        progress: Told about the bytes.
        wait: Sleeps so many seconds before another attempt.
        pace: How slow it may be; None: as ``Pace`` has it.

    Raises:
        MissingError: The server has no such file.
        UnreachableError: The server cannot be reached.
        DataError: The server refuses, the file is over ``limit``, or the disk is too small.
    """
    most, failed, pace = _size(partial), 0, pace or Pace()
    while True:
        try:
            _receive_rest(url, partial, limit, progress, pace)
            return
        except OverdueError as error:
            raise UnreachableError(f"{url}: {error}{_kept(partial)}") from None
        except _BrokenError as error:
            grown = _size(partial) > most and not isinstance(error, _SlowError)
            failed = 1 if grown else failed + 1
            most = max(most, _size(partial))
            if failed >= ATTEMPTS:
                often = f"{error}, {failed} times in a row"
                raise UnreachableError(f"{url}: {often}{_kept(partial)}") from None
        wait(2.0 ** (failed - 1))


def digest_of(path: Path, kind: str) -> str:
    """Return the digest of a file: ``sha256:...``, or ``git:...`` as git names its content.

    Raises:
        ValueError: ``kind`` is neither.
    """
    match kind:
        case "sha256":
            digest = hashlib.sha256()
        case "git":
            # Not for safety: git's own name of a file, over HTTPS at a fixed commit.
            digest = hashlib.sha1(b"blob %d\0" % _size(path), usedforsecurity=False)
        case _:
            raise ValueError(f"digest must be sha256 or git, got {kind!r}")
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return f"{kind}:{digest.hexdigest()}"


def _kept(partial: Path) -> str:
    size = _size(partial)
    return f"; {size} bytes are kept to go on with" if size else ""


def _receive_rest(
    url: str, partial: Path, limit: int, progress: Progress | None, pace: Pace
) -> None:
    """Connect once and append what comes."""
    start = _size(partial)
    pace.begin()
    try:
        with _open(url, start, pace) as response:
            if response.status != 206 or not _goes_on_at(response, start):
                start = 0  # the whole file, whatever was asked for
            _append(url, response, partial, start, limit, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if (
            error.code == 416 and start
        ):  # nothing is left to send, or what lies here is of another file
            if error.headers.get("Content-Range") == f"bytes */{start}":
                return
            partial.unlink()
            raise _BrokenError("the server has a shorter file than before") from error
        _refuse(url, error)
    except TooSlowError as error:
        raise _SlowError(str(error)) from error
    except urllib.error.URLError as error:
        _give_up(url, error.reason)
        raise _BrokenError(_reason(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.filename is not None:  # our disk's
            raise
        raise _BrokenError(_reason(error)) from error
    except (ValueError, OverflowError) as error:
        reason = f"the server leads to an address that is none: {shorten(str(error))}"
        raise DataError(f"{url}: {reason}") from error


def _append(
    url: str,
    response: http.client.HTTPResponse,
    partial: Path,
    start: int,
    limit: int,
    progress: Progress | None,
) -> None:
    length = response.headers.get("Content-Length", "").strip()
    if length.isdecimal() and len(length) > LONGEST_NUMBER:
        raise DataError(f"{url}: its length is a number of {len(length)} digits")
    total = start + int(length) if length.isdecimal() else None
    free = shutil.disk_usage(partial.parent).free
    if total is not None and total - start > free:
        raise DataError(f"{url}: {total} bytes, but {partial.parent} has {free} left")
    done = start
    with partial.open("ab" if start else "wb") as file:
        while done <= limit and (chunk := response.read1(CHUNK)):
            file.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, done if total is None else total)
    if max(done, total or 0) > limit:
        partial.unlink()
        raise DataError(f"{url}: {max(done, total or 0)} bytes; expected at most {limit}")
    if total is not None and done < total:
        raise _BrokenError(f"the connection broke off after {done} of {total} bytes")


def _open(url: str, start: int, pace: Pace) -> http.client.HTTPResponse:
    headers = {"User-Agent": "openmmb"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)
    opener = build_opener(pace)
    response: http.client.HTTPResponse = opener.open(request, timeout=TIMEOUT_S)
    return response


def _goes_on_at(response: http.client.HTTPResponse, start: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _refuse(url: str, error: urllib.error.HTTPError) -> None:
    """Raise what an answer of the server means."""
    answer = shorten(f"the server says {error.code} {error.reason}".rstrip())
    if error.code in TRY_AGAIN:
        raise _BrokenError(answer) from error
    if error.code in NOT_THERE:
        raise MissingError(f"{url}: {answer}") from error
    raise DataError(f"{url}: {answer}") from error


def _give_up(url: str, reason: str | BaseException) -> None:
    """Raise where another attempt would end alike."""
    if isinstance(reason, socket.gaierror):
        raise UnreachableError(f"{url}: {reason.strerror}; is this machine online?") from reason
    if isinstance(reason, ssl.SSLCertVerificationError):
        raise UnreachableError(f"{url}: {reason.verify_message}") from reason
    if not isinstance(reason, OSError):
        raise UnreachableError(f"{url}: {reason}") from None


def _reason(error: str | BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer for {TIMEOUT_S:.0f} s"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, http.client.HTTPException):
        return "the connection broke off"
    return str(error)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
