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
    path = file_url_path(text)
    match = _SCHEME.match(text)
    if match and path == Path(text) and not os.path.lexists(text):
        raise ImageError(
            f"{shorten(text)}: pictures are not fetched from {match[1].lower()} addresses; save "
            "the picture and use the path of its file"
        )
    return path


def file_url_path(text: str) -> Path:
    """Return the path that a ``file:`` URL names; any other text is a path itself.

    Raises:
        ImageError: It names a file of another machine.
    """
    if not text.lower().startswith("file:/") or os.path.lexists(text):
        return Path(text)
    host, rest = "", text[len("file:") :]
    if rest.startswith("//"):
        host, _, rest = rest[2:].partition("/")
    if host.lower() not in ("", "localhost"):
        raise ImageError(
            f"{shorten(text)}: a file of another machine, {shorten(host)}; use file:///PATH"
        )
    path = os.fsdecode(unquote_to_bytes(rest)).lstrip("/")
    return Path(path) if os.name == "nt" else Path(f"/{path}")  # C:/photos/dog.jpg
