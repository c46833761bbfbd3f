"""The folder of a run belongs to one config, and to one process at a time."""

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openmmb.config import dump, load
from openmmb.errors import ConfigError
from openmmb.files import PARTIAL, REPLACED, remove, write_whole
from openmmb.outputs import OutputKind, check_folder
from openmmb.training.run.config import RunConfig

if sys.platform != "win32":
    import fcntl

LOCK = "lock"
"""An empty file that a run holds while it runs."""

RECIPE = "recipe.toml"
"""The config of the run."""

BEGINNINGS = ("tokenizer.json", "log.jsonl", "start", "frozen")
"""What a run may have written before its first state."""

STATES = "state-????????"
"""The folders of a run's states; the number is that of updates done."""

RUN = OutputKind(
    "the folder of a run",
    (RECIPE,),
    (LOCK, *BEGINNINGS, STATES, "tensorboard", "checkpoint", f"*{PARTIAL}*", f"*{REPLACED}*"),
)
"""The folder, as what writes one knows it."""


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Make the folder of a run and hold it until the end of the block or of this process.

    Raises:
        ConfigError: Another process holds it, it holds something else than a run, or it cannot be
            made.
    """
    check_folder(run, RUN, grows=True)
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = (run / LOCK).open("a")
    except OSError as error:
        raise ConfigError(f"out: {run}: {error.strerror}; name a folder to write to") from error
    with file:
        try:
            if sys.platform != "win32":
                # Not flock: processes that make batches inherit that, and may outlive this one.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise ConfigError(
                f"out: {run}: another run is using this folder; wait for its end, or set another "
                "'out'"
            ) from error
        yield


def claim(config: RunConfig, run: Path) -> None:
    """Write a run's config into its folder, or check that the run in there is the same.

    What a run of another config left before it had a state (a vocabulary, a log) is removed.

    Args:
        config: Decides all that the run does.
        run: The folder.

    Raises:
        ConfigError: The folder holds the state of another run, or cannot be made.
    """
    path = run / RECIPE
    if states(run):
        changed = _changes(load(type(config), path), config)
        if changed:
            raise ConfigError(
                f"{run}: holds a run of another recipe: {'; '.join(changed)}; set another 'out'"
                + _going_on(run)
            )
    try:
        run.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != dump(config).encode():
            if not states(run):
                _require_own(path, type(config))
                for name in BEGINNINGS:
                    remove(run / name)
            write_whole(path, dump(config))
    except OSError as error:
        raise ConfigError(f"out: {run}: {error.strerror}; name a folder to write to") from error


def _require_own(recipe: Path, kind: type[RunConfig]) -> None:
    """Refuse to write over a recipe that a person has written, for all that it is called so."""
    if recipe.exists() and recipe.read_bytes() != dump(load(kind, recipe)).encode():
        raise ConfigError(f"out: {recipe}: was not written by a run; set another 'out'")


def states(run: Path) -> list[Path]:
    """Return the states of a run, oldest first."""
    return sorted(path for path in run.glob(STATES) if path.is_dir())


def _going_on(run: Path) -> str:
    """Say how to train on under another recipe, if there is a model to train on."""
    if not (run / "checkpoint").is_dir():
        return ""
    return f"; to train its best model on: --start {run / 'checkpoint'} --out ANOTHER"


def _changes(old: RunConfig, new: RunConfig) -> list[str]:
    """Return ``key was this, now is that`` for each key that decides what a run comes to."""
    before, after = _decisive(old), _decisive(new)
    return [
        f"{key} was {before.get(key, 'not there')!r}, now is {after.get(key, 'not there')!r}"
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    ]


def _decisive(value: Any, key: str = "") -> dict[str, Any]:
    """Return, by their dotted keys, the values of a config that may not change under a run."""
    items: list[tuple[str | int, Any]]
    if dataclasses.is_dataclass(value):
        fields = [f for f in dataclasses.fields(value) if not f.metadata.get("may_change")]
        items = [(field.name, getattr(value, field.name)) for field in fields]
    elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):  # [[tasks]]
        items = list(enumerate(value))
    else:
        return {key: value}
    flat: dict[str, Any] = {}
    for name, inner in items:
        flat |= _decisive(inner, f"{key}.{name}" if key else str(name))
    return flat
