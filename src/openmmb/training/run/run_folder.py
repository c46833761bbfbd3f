"""The folder of a run belongs to one recipe, and to one run at a time."""

import dataclasses
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openmmb.config import dump, load
from openmmb.errors import ConfigError

if sys.platform != "win32":
    import fcntl

FREE = (
    *("out", "root", "save_every_steps", "device", "activation_checkpointing"),
    *("data.root", "data.features", "data.mirrored_features", "data.workers"),
)
"""Keys that may change under a run: where things lie and run, how often its state is saved, and
whether memory is worth more than time."""

LOCK = "lock"
"""An empty file that a run holds while it runs."""

STATES = "state-????????"
"""The folders of a run's states; the number is that of updates done."""


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Make a run's folder and hold it, until the end or the death of this process.

    Raises:
        ConfigError: Another process holds it, or it cannot be made.
    """
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
                f"out: {run}: another run is at work in there; wait for its end, or set another "
                "'out'"
            ) from error
        yield


def claim(recipe: Any, run: Path) -> None:
    """Write the recipe into its run's folder, or see that the run in there is one of it.

    What a run of another recipe left before it had a state (a vocabulary, a log) is removed.

    Args:
        recipe: A config (``openmmb.config.config``) that decides all the run does.
        run: The folder.

    Raises:
        ConfigError: The folder holds the state of another recipe's run, or cannot be made.
    """
    path = run / "recipe.toml"
    if states(run):
        changed = _changes(load(type(recipe), path), recipe)
        if changed:
            raise ConfigError(
                f"{run}: holds a run of another recipe: {'; '.join(changed)}; "
                "set another 'out', or remove the folder"
            )
    try:
        run.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != dump(recipe):
            _begin(recipe, run)
    except OSError as error:
        raise ConfigError(f"out: {run}: {error.strerror}; name a folder to write to") from error


def _begin(recipe: Any, run: Path) -> None:
    if not states(run):
        for name in ("tokenizer.json", "log.jsonl"):
            (run / name).unlink(missing_ok=True)
        shutil.rmtree(run / "start", ignore_errors=True)
    write_whole(run / "recipe.toml", dump(recipe))


def states(run: Path) -> list[Path]:
    """Return the states of a run, oldest first."""
    return sorted(path for path in run.glob(STATES) if path.is_dir())


def write_whole(path: Path, text: str) -> None:
    """Write a file that is never seen half written."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _changes(old: Any, new: Any) -> list[str]:
    """Return ``key was this, now is that`` for each key that decides what a run does."""
    before, after = _flat(dataclasses.asdict(old)), _flat(dataclasses.asdict(new))
    return [
        f"{key} was {before.get(key, 'not there')!r}, now is {after.get(key, 'not there')!r}"
        for key in dict.fromkeys((*before, *after))
        if key not in FREE and before.get(key) != after.get(key)
    ]


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Return the leaves of nested tables by their dotted keys."""
    match value:
        case dict():
            items = list(value.items())
        case [{}, *_]:  # [[tasks]]
            items = list(enumerate(value))
        case _:
            return {key: value}
    flat: dict[str, Any] = {}
    for part, inner in items:
        flat |= _flat(inner, f"{key}.{part}" if key else str(part))
    return flat
