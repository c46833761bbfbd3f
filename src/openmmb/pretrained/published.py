"""Files that others published: found in a package or on the Hugging Face hub, and checked once.

The package is never imported: only its file is found and read, after its SHA-256 has been checked
once. Where there is no such package, the same file is downloaded from the hub.
"""

import hashlib
import importlib.util
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from openmmb.errors import CheckpointError
from openmmb.files import cache_folder, write_whole
from openmmb.hub import resolve_file


@dataclass(frozen=True, slots=True)
class Published:
    """A published file.

    Attributes:
        package: What Python calls the package that has it.
        file: The file in the package, and its name on the hub.
        sha256: SHA-256 of the file.
        install: The command that installs the package.
        repo: The repository on the Hugging Face hub that has the same file.
        folder: The folder of the package that has it; empty: the package's own.
    """

    package: str
    file: str
    sha256: str
    install: str
    repo: str
    folder: str = ""


def find_published(published: Published, name: str) -> Path:
    """Return a published file, checked: its package's, or else the hub's.

    Args:
        published: The file.
        name: What messages call it.

    Raises:
        CheckpointError: It is not installed and cannot be downloaded, or it is not the one that it
            should be.
    """
    path = find_installed(published.package, published.file, published.folder) or resolve_file(
        published.repo,
        published.file,
        f"{name} is neither installed (run: {published.install}) nor downloaded ({published.repo})",
    )
    _check(path, published)
    return path


def find_installed(package: str, file: str, folder: str = "") -> Path | None:
    """Return a file of a package, which is not imported; None: it is not installed."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    files = (Path(one) / folder / file for one in folders or ())
    return next((path for path in files if path.is_file()), None)


def _check(path: Path, published: Published) -> None:
    """See that a file is the published one; remember that, as long as it stays as it is."""
    known, stat = _remembered(), path.stat()
    state = [stat.st_size, stat.st_mtime_ns, published.sha256]
    if known.get(str(path)) == state:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != published.sha256:
        raise CheckpointError(
            f"{path}: its SHA-256 is {digest}, expected {published.sha256}; to mend it, run: "
            f"{published.install} --force-reinstall"
        )
    with suppress(OSError):  # a home that cannot be written to: it is checked again next time
        write_whole(_memory(), json.dumps({**known, str(path): state}, indent=2))


def _remembered() -> dict[str, list[int | str]]:
    try:
        known = json.loads(_memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _memory() -> Path:
    return cache_folder() / "checked.json"
