"""The page: the files of ``page/``, by the names that they have when the server starts.

A request names one of them or gets nothing, so no other file of the machine can be asked for.
"""

import hashlib
import mimetypes
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

INDEX = "index.html"


def page_files() -> dict[str, Traversable]:
    """Return the page's files by their addresses; its first page is also at ``/``."""
    folder = resources.files("openmmb.serve") / "page"
    if not folder.is_dir():
        return {}
    files = {f"/{name}": file for name, file in _walk(folder)}
    first = files.get(f"/{INDEX}")
    return files if first is None else {"/": first, **files}


def respond(file: Traversable, request: Request) -> Response:
    """Return a file, or only that it has not changed since the browser last asked."""
    data = file.read_bytes()
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Response(data, media_type=kind, headers=headers)


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif not entry.name.startswith((".", "__")):
            yield f"{prefix}{entry.name}", entry
