"""Text files beside published weights."""

import json
from pathlib import Path
from typing import Any

from openmmb.errors import CheckpointError


def read_text(path: Path) -> str:
    """Read a file.

    Raises:
        CheckpointError: It is missing or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: not a text file: {error.reason}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: The file is missing or holds anything else.
    """
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: holds a {type(found).__name__}, expected an object")
    return found


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a JSON object for people and programs."""
    path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
