"""The folder of a run belongs to one recipe."""

import dataclasses
from pathlib import Path
from typing import Any

from openmmb.config import dump, load
from openmmb.errors import ConfigError
from openmmb.train.config import Recipe

FREE = ("out", "save_every_steps", "data.root", "data.features", "data.mirrored_features")
"""Keys that may change under a run: where things lie, and how often its state is saved."""

STATES = "state-????????"
"""The folders of a run's states; the number is that of updates done."""


def claim(recipe: Recipe, run: Path) -> None:
    """Write the recipe into its run's folder, or see that the run in there is one of it.

    What a run of another recipe left before it had a state (a vocabulary, a log) is removed.

    Raises:
        ConfigError: The folder holds the state of another recipe's run, or cannot be made.
    """
    path = run / "recipe.toml"
    if any(run.glob(STATES)):
        changed = _changes(load(Recipe, path), recipe)
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


def _begin(recipe: Recipe, run: Path) -> None:
    if not any(run.glob(STATES)):
        for name in ("tokenizer.json", "log.jsonl"):
            (run / name).unlink(missing_ok=True)
    write_whole(run / "recipe.toml", dump(recipe))


def write_whole(path: Path, text: str) -> None:
    """Write a file that is never seen half written."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _changes(old: Recipe, new: Recipe) -> list[str]:
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
