"""Which file of this machine a path or a URL means."""

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from openmmb.errors import ImageError, shorten

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]+):/", re.IGNORECASE)  # one letter is a drive


def local_path(given: str | os.PathLike[str]) -> Path:
    """Return the path of a picture's file; a ``file://`` URL is understood.

    Raises:
        ImageError: It is the URL of anything else, which is never fetched, or empty.
    """
    text = os.fsdecode(given)
    if not text.strip():
        raise ImageError("picture: expected a path, got an empty text")
    if os.path.lexists(text):  # whatever it looks like
        return Path(text)
    if text.lower().startswith("file:/"):
        return _path_of_url(text)
    match = _SCHEME.match(text)
    if match:
        raise ImageError(
            f"{shorten(text)}: pictures are not fetched from {match[1].lower()} addresses; save "
            "the picture and use the path of its file"
        )
    return Path(text)


def _path_of_url(url: str) -> Path:
    """Return the path that a ``file:`` URL names: ``file:/a``, ``file:///a``, ``file://host/a``."""
    rest = url[len("file:") :]
    host = ""
    if rest.startswith("//"):
        host, _, rest = rest[2:].partition("/")
        rest = f"/{rest.lstrip('/')}"
    if host.lower() not in ("", "localhost"):
        raise ImageError(
            f"{shorten(url)}: a file of another machine, {shorten(host)}; use file:///PATH"
        )
    path = os.fsdecode(unquote_to_bytes(rest))
    if os.name == "nt":
        path = path.lstrip("/")  # /C:/photos/dog.jpg
    return Path(path)
