"""What people type, paste or drop on a terminal where a path is meant.

Terminals write a dropped file as a shell would read it, in quotes or with backslashes; file
managers copy it as a ``file://`` URL.
"""

import os
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Final

from openmmb.vision.addresses import file_url_path, local_path
from openmmb.vision.data_uri import is_data_uri
from openmmb.vision.image_ids import SUFFIXES

_QUOTES: Final = dict(
    zip(
        "'\"\N{LEFT SINGLE QUOTATION MARK}\N{LEFT DOUBLE QUOTATION MARK}",
        "'\"\N{RIGHT SINGLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}",
        strict=True,
    )
)
_ABSOLUTE: Final = re.compile(r"[/~]|[a-z]:[\\/]|file:/", re.IGNORECASE)
_LONGEST: Final = 10_000
"""Longer lines are no paths."""


def parse_path(text: str) -> Path:
    """Read a path as people type it: quoted, escaped, with ``~``, or as a ``file://`` URL.

    Raises:
        ImageError: It is the URL of a file of another machine.
    """
    return _with_home(file_url_path(_unquote(text)))


def parse_picture(text: str) -> Path | str:
    """Read where a picture is as people type it: a path, or a ``data:`` URI, which stays as it is.

    Raises:
        ImageError: It is a URL of the web, or of another machine.
    """
    if is_data_uri(text):
        return text
    return _with_home(local_path(_unquote(text)))


def is_dropped_picture(line: str) -> bool:
    """Return whether a line is nothing but the path of a picture, as a terminal writes it.

    It is the whole path of a file with the name of a picture. Without quotes around it and without
    ``file://`` before it, there must be such a file: people may talk about files too.
    """
    text = line.strip()
    if not text or len(text) > _LONGEST:
        return False
    plain = _unquote(text)
    if not _ABSOLUTE.match(plain) or Path(plain).suffix.lower() not in SUFFIXES:
        return False
    marked = text[0] in _QUOTES or plain.lower().startswith("file:/")
    return marked or _exists(str(_with_home(Path(plain))))


def _unquote(text: str) -> str:
    """Take off what a shell would; a name that there is stays as it is, whatever it looks like."""
    text = text.strip()
    if not text or _exists(text):
        return text
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        return text[1:-1]
    if os.name == "nt":  # a backslash is no escape there
        return text
    with suppress(ValueError):  # a quote that is not closed: it's.jpg
        words = shlex.split(text)
        if len(words) == 1:
            return words[0]
    return re.sub(r"\\(.)", r"\1", text)


def _exists(path: str) -> bool:
    return os.path.lexists(path)  # unlike Path.exists, never raises


def _with_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # ~ of somebody who is not there
        return path
