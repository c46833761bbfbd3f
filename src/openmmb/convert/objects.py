"""The JSON objects beside published weights."""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from openmmb.errors import CheckpointError, shorten
from openmmb.files import read_json


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: The file is missing or holds anything else.
    """
    data = read_json(path, error=CheckpointError)
    if not isinstance(data, dict):
        raise CheckpointError(f"{path}: holds a {type(data).__name__}, expected an object")
    return data


Kind: TypeAlias = Literal["a number", "text", "a list"]
"""What kind of value a key has, as messages call it."""
_TYPES: Final[dict[Kind, tuple[type, ...]]] = {
    "a number": (int, float),
    "text": (str,),
    "a list": (list,),
}


def check_kinds(data: Mapping[str, Any], path: Path, kinds: Mapping[Kind, Collection[str]]) -> None:
    """Refuse a value of another kind than its key has; null counts as missing.

    Args:
        data: The object.
        path: Its file, for messages.
        kinds: The keys of each kind.

    Raises:
        CheckpointError: A value is of another kind; names the key.
    """
    for kind, keys in kinds.items():
        for key in keys:
            value = data.get(key)
            if value is None:
                continue
            wrong = not isinstance(value, _TYPES[kind]) or isinstance(value, bool)
            if wrong or (isinstance(value, float) and not math.isfinite(value)):
                raise CheckpointError(f"{path}: {key} is {shorten(repr(value))}; expected {kind}")


def name_of(folder: Path) -> str:
    """Return what a published folder is called: its own name, or in the hub's cache the model's."""
    folder = folder.resolve()
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.rpartition("--")[2]
    return folder.name


def write_object(path: Path, data: dict[str, Any]) -> None:
    """Write a JSON object for people and programs."""
    path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
