"""Whether a place may be written to: one question, which everything that writes asks first.

Nothing is replaced but what the writer's own kind is, and nothing that it reads. What is of its
kind is replaced only where somebody has said so, which the caller sees to.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from openmmb.errors import ConfigError, OpenMMBError, shorten


@dataclass(frozen=True, slots=True)
class OutputKind:
    """A kind of folder that is written.

    Attributes:
        name: What it is called, with its article.
        marks: Files that each such folder has.
        others: Patterns of the names of what else is its own.
    """

    name: str
    marks: tuple[str, ...]
    others: tuple[str, ...] = ()

    def owns(self, name: str) -> bool:
        """Say whether something of that name is a part of such a folder."""
        return any(fnmatchcase(name, pattern) for pattern in (*self.marks, *self.others))


def check_folder(
    path: Path | str,
    kind: OutputKind,
    *,
    sources: Iterable[Path | str] = (),
    grows: bool = False,
    error: type[OpenMMBError] = ConfigError,
) -> bool:
    """Refuse to make a folder of a place that is somebody's.

    It may be new, empty, or such a folder. Where it is replaced, nothing else may be in it.

    Args:
        path: The folder.
        kind: What it is to be.
        sources: What is read meanwhile; neither may be in the other.
        grows: Files are added or renewed, and all others stay.
        error: What is raised.

    Returns:
        Whether there is such a folder.

    Raises:
        OpenMMBError: Of the kind ``error``: it may not be written to; says why.
    """
    try:
        target = _resolve(path, sources, error)
        if not target.exists():
            _check_new(path, target, error)
            return False
        if not target.is_dir():
            raise error(f"{path}: is a file; expected a folder, or nothing")
        entries = sorted(entry.name for entry in target.iterdir())
    except OSError as failure:
        raise error(f"{path}: {failure.strerror or failure}") from failure
    strange = [name for name in entries if not kind.owns(name)]
    if set(kind.marks) <= set(entries):
        if strange and not grows:
            raise error(
                f"{path}: holds {shorten(strange[0])!r} beside {kind.name}; move it away, or name "
                "another folder"
            )
        return True
    if strange or (entries and not grows):
        raise error(
            f"{path}: is not {kind.name}, and holds {shorten((strange or entries)[0])!r}; name a "
            "new folder"
        )
    return False


def check_file(
    path: Path | str,
    kind: str,
    is_own: Callable[[Path], bool],
    *,
    sources: Iterable[Path | str] = (),
    error: type[OpenMMBError] = ConfigError,
) -> bool:
    """Refuse to write a file over somebody's.

    Args:
        path: The file.
        kind: What it is to be, with its article.
        is_own: Whether a file is of that kind.
        sources: Files that are read meanwhile.
        error: What is raised.

    Returns:
        Whether there is such a file.

    Raises:
        OpenMMBError: Of the kind ``error``: it may not be written to; says why.
    """
    try:
        target = Path(path).resolve()
        if target.is_dir():
            raise error(f"{path}: is a folder; expected a file, or nothing")
        for source in sources:
            if target == Path(source).resolve():
                raise error(f"{path}: is what is read; name another file")
        if not target.exists():
            _check_new(path, target, error)
            return False
        if not (target.is_file() and is_own(target)):
            raise error(f"{path}: is there, and is not {kind}; name another file")
    except OSError as failure:
        raise error(f"{path}: {failure.strerror or failure}") from failure
    except (RuntimeError, ValueError) as failure:  # a loop of links, a null byte
        raise error(f"{path}: {failure}") from failure
    return True


def _check_new(path: Path | str, target: Path, error: type[OpenMMBError]) -> None:
    """Refuse to make something new where its place or its name could not be meant."""
    if Path(path).is_symlink():
        raise error(f"{path}: is a link to {target}, which is not there; name another place")
    if Path(path).parts[:1] == ("~",):
        raise error(f"{path}: the shell has not put your home folder for ~; use $HOME")
    if not _is_utf8(target):
        raise error(f"{path}: expected a name in UTF-8; name another place")
    above = next(folder for folder in target.parents if os.path.lexists(folder))
    if not above.is_dir():
        raise error(f"{path}: {above} is no folder; name another place")


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _resolve(path: Path | str, sources: Iterable[Path | str], error: type[OpenMMBError]) -> Path:
    """Return the place of a folder, unless it is one that holds much else."""
    try:
        target = Path(path).resolve()
        read = [(source, Path(source).resolve()) for source in sources]
    except (RuntimeError, ValueError) as failure:  # a loop of links, a null byte
        raise error(f"{path}: {failure}") from failure
    for name, special in _special_folders():
        if target == special:
            raise error(f"{path}: is {name}; name a new folder")
        if target in special.parents:
            raise error(f"{path}: holds {name}; name a new folder")
    for source, location in read:
        if target == location:
            raise error(f"{path}: is what is read; name another folder")
        if target in location.parents:
            raise error(f"{path}: holds {source}, which is read; name another folder")
        if location in target.parents:
            raise error(f"{path}: is inside {source}, which is read; name another folder")
    return target


def _special_folders() -> list[tuple[str, Path]]:
    known = [("the root folder", Path("/").resolve())]
    for name, find in (("the home folder", Path.home), ("the current folder", Path.cwd)):
        try:
            known.append((name, find().resolve()))
        except (OSError, RuntimeError):  # a person without a home, a folder that was removed
            continue
    return known
