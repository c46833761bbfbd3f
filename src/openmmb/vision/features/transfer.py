"""Files brought to a location whole, and from a store to this machine.

On this machine a file appears under its name when it is whole. In a store it is sent in one go
under its name: object stores (S3, GCS, Azure) then show it when it is whole, others, such as SFTP,
may show a part of it meanwhile.
"""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path, PurePosixPath

from openmmb.files import cache_folder, sync
from openmmb.vision.features.locations import Location, open_location


@contextmanager
def scratch(folder: Location) -> Iterator[Path]:
    """Yield the name of a file to write before it is ``put`` into ``folder``.

    Its name is like no other process's and ends in ``.tmp``; a killed process leaves it behind.
    """
    beside = Path(tempfile.gettempdir()) if folder.local is None else folder.local
    temporary = beside / f"{uuid.uuid4().hex}.tmp"
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def put(temporary: Path, location: Location) -> None:
    """Make ``location`` a file with the bytes of ``temporary``, which ``scratch`` named."""
    if location.local is None:
        location.fs.put_file(str(temporary), location.path)
        return
    sync(temporary)  # so that no crash leaves half a file under a whole one's name
    temporary.replace(location.local)


def write(location: Location, data: bytes) -> None:
    """Make ``location`` a file of these bytes; one that is there is replaced."""
    with scratch(location.parent) as temporary:
        temporary.write_bytes(data)
        put(temporary, location)


def download(location: Location, to: Path) -> None:
    """Copy a file to this machine."""
    location.fs.get_file(location.path, str(to))


def local_copy(location: Location, size: int) -> Path:
    """Return a file of this machine with these bytes: itself, or a copy that is kept.

    Args:
        location: The file.
        size: Its bytes; a copy of another size is made anew.
    """
    if location.local is not None:
        return location.local
    folder = cache_folder() / sha256(location.parent.name.encode()).hexdigest()[:16]
    copy = open_location(folder / PurePosixPath(location.path).name)
    path = Path(copy.path)
    if not path.exists() or path.stat().st_size != size:
        folder.mkdir(parents=True, exist_ok=True)
        with scratch(copy.parent) as temporary:
            download(location, temporary)
            put(temporary, copy)
    return path
