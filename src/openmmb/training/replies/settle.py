"""What a recipe leaves out is as the checkpoint that it starts from has it.

Fine-tuning would else lose, key by key and in silence, what makes a model usable: its controls, how
long its replies are, how they are searched for.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from openmmb.checkpoint import CONFIG, CheckpointConfig, read_settings
from openmmb.config import dump, load, parse, read_toml
from openmmb.data.controls import ControlsConfig
from openmmb.data.encode import EncodeConfig
from openmmb.hub import find_here
from openmmb.model.config import ModelConfig
from openmmb.search.config import SearchConfig
from openmmb.training.replies.config import NONE, Recipe
from openmmb.training.run.run_folder import states
from openmmb.training.start import find_given_start

DROPOUTS: Final = ("dropout", "attention_dropout", "activation_dropout")
"""Settings of the network that a recipe may change when it starts from a checkpoint."""
ENCODER: Final = "efficientnet_lite0"
"""Picture encoder of a run that starts anew and names none."""


def read_settled(path: Path, *, start: str | None = None, needed: bool) -> Recipe:
    """Read a recipe and fill in what it leaves out.

    Args:
        path: The file.
        start: Checkpoint to start from instead of the file's.
        needed: Whether the checkpoint that it starts from must be had, from the hub if need be.
            Otherwise what is left out is as a new model has it where that checkpoint is not here.

    Raises:
        ConfigError: The file is missing, or is no recipe; or its start is still to be made.
        CheckpointError: ``needed``, and its start is no checkpoint.
    """
    data = read_toml(path)
    if start is not None:
        data = {**data, "start": start}
        data.pop("start_command", None)
    plain = parse(Recipe, data, source=str(path))  # what is wrong with the file comes first
    needed = needed and plain.start_command is None  # else it is made here, or missed at the start
    return parse(Recipe, _filled(data, start_settings(plain, needed=needed)), source=str(path))


def settle(recipe: Recipe, settings: CheckpointConfig | None) -> Recipe:
    """Fill in what a recipe leaves out; nothing changes in one that leaves nothing out.

    Args:
        recipe: The recipe.
        settings: Those of the checkpoint that it starts from; None: it starts anew.

    Raises:
        ConfigError: What it names does not fit what the checkpoint has.
    """
    return parse(Recipe, _filled(tomllib.loads(dump(recipe)), settings), source="recipe")


def start_settings(recipe: Recipe, *, needed: bool) -> CheckpointConfig | None:
    """Return the settings of what a run starts from; None: it starts anew, or that is not here.

    A run that has a state keeps them, whatever became of the checkpoint.

    Raises:
        ConfigError: ``needed``, and the start is still to be made.
        CheckpointError: ``needed``, and the start is no checkpoint.
    """
    if recipe.start is None:
        return None
    kept = Path(recipe.out) / "start" / CONFIG
    if states(Path(recipe.out)) and kept.is_file():
        return load(CheckpointConfig, kept)
    folder = find_here(recipe.start)
    if needed:
        folder = find_given_start(recipe.start, recipe.start_command)
    elif not (folder / CONFIG).is_file():
        return None
    return read_settings(CheckpointConfig, folder, what="checkpoint")


def describe_start(name: str, before: CheckpointConfig, after: CheckpointConfig) -> tuple[str, str]:
    """Say what a run keeps of the checkpoint that it starts from, and what its recipe changes."""
    old, new = _told(before), _told(after)
    kept = [f"{key} {_shown(old[key])}" for key in old if old[key] == new[key]]
    changed = [
        f"{key} {_shown(old[key])} -> {_shown(new[key])}" for key in old if old[key] != new[key]
    ]
    return (
        f"start {name}: its network and vocabulary stay, and {', '.join(kept) or 'nothing else'}",
        f"the recipe changes {', '.join(changed) or 'none of its settings'}",
    )


def _filled(data: Mapping[str, Any], settings: CheckpointConfig | None) -> dict[str, Any]:
    """Return the keys of a recipe with those that it leaves out."""
    filled = dict(data)
    usual: dict[str, dict[str, Any]] = {
        "data": {"encoder": ENCODER},
        "model": {},
        "encode": dataclasses.asdict(EncodeConfig()),
        "search": dataclasses.asdict(SearchConfig()),
    }
    if settings is not None:
        for name in ("gender", "image_style"):
            filled.setdefault(name, getattr(settings, name) or NONE)
        usual["data"] = {"encoder": settings.encoder}
        usual["encode"] = dataclasses.asdict(settings.encode)
        usual["search"] = dataclasses.asdict(settings.search)
        if isinstance(settings.model, ModelConfig):
            usual["model"] = {name: getattr(settings.model, name) for name in DROPOUTS}
    usual["controls"] = {
        **dataclasses.asdict(ControlsConfig()),
        "gender": filled.get("gender", NONE) != NONE,
    }
    for section, values in usual.items():
        given = data.get(section, {})
        if isinstance(given, Mapping):
            named = {key: value for key, value in values.items() if value is not None}
            filled[section] = named | dict(given)
    return filled


def _told(config: CheckpointConfig) -> dict[str, Any]:
    """Return the settings that a recipe can change, by their names in it."""
    told: dict[str, Any] = {"gender": config.gender, "image_style": config.image_style}
    told["data.encoder"] = config.encoder
    told["ban_gendered_words"] = config.ban_gendered_words
    if isinstance(config.model, ModelConfig):
        told |= {f"model.{name}": getattr(config.model, name) for name in DROPOUTS}
    for section in ("encode", "search"):
        values = dataclasses.asdict(getattr(config, section))
        told |= {f"{section}.{key}": value for key, value in values.items()}
    return told


def _shown(value: Any) -> str:
    return NONE if value is None else repr(value) if isinstance(value, str) else str(value)
