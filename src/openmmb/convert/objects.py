"""The JSON objects beside published weights."""

import json
from pathlib import Path
from typing import Any

from openmmb.errors import CheckpointError
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


def name_of(folder: Path) -> str:
    """Return what a published folder is called: its own name, or in the hub's cache the model's."""
    folder = folder.resolve()
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.rpartition("--")[2]
    return folder.name


def write_object(path: Path, data: dict[str, Any]) -> None:
    """Write a JSON object for people and programs."""
    path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
