"""Replies in a file, one JSON object a line, for people to read and for a later run to go on from.

The first line says what model they are of; each other one has what was asked, the reply, and what
was measured of it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from openmmb.checkpoint import CONFIG, TOKENIZER, WEIGHTS
from openmmb.data.example import Example
from openmmb.errors import ConfigError, DataError, shorten
from openmmb.files import open_text, parse_json, read_text, write_whole

_ASKED = ("context", "persona", "style", "gender", "image_id")
_CHUNK = 1 << 20


class SavedReplies:
    """The replies of one model, in a file that grows as they are found.

    Args:
        path: The file; made if it is not there.
        model: What ``fingerprint`` says of the model.

    Raises:
        DataError: The file is not one of replies, or they are another model's.
        OSError: It cannot be read or written.
    """

    def __init__(self, path: Path, model: str) -> None:
        self.path = path
        self._known: dict[str, str] = {}
        lines = _whole_lines(path)
        if not lines:
            self._write({"model": model}, mode="w")
            return
        rows = [_parse(path, number, line) for number, line in enumerate(lines, start=1)]
        if rows[0].get("model") != model:
            raise DataError(
                f"{path}: has replies of another model, or found by another search; use another "
                "file, or delete this one"
            )
        for number, row in enumerate(rows[1:], start=2):
            whole = {"setting", "task", "reply", *_ASKED} <= row.keys()
            if not whole or not isinstance(row["reply"], str):
                raise DataError(f"{path}: line {number}: expected a saved reply")
            self._known[_key(row["setting"], row)] = row["reply"]

    def __len__(self) -> int:
        return len(self._known)

    def find(self, setting: str, example: Example) -> str | None:
        """Return the reply to an example, as asked in ``setting``, if it is there."""
        return self._known.get(_key(setting, asdict(example)))

    def add(self, setting: str, example: Example, measured: Mapping[str, Any]) -> None:
        """Add a reply and what was measured of it, unless it is there."""
        asked = asdict(example)
        key = _key(setting, asked)
        if key in self._known:
            return
        self._known[key] = measured["reply"]
        row: dict[str, Any] = {"task": example.task, "setting": setting}
        row |= {name: asked[name] for name in _ASKED}
        row |= {"people": [example.reply, *example.references], **measured}
        self._write(row, mode="a")

    def _write(self, row: Mapping[str, Any], *, mode: str) -> None:
        with self.path.open(mode, encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def fingerprint(folder: Path) -> str:
    """Return what tells a checkpoint's replies from any other's: weights, words and settings."""
    digest = hashlib.sha256()
    for name in (CONFIG, TOKENIZER, WEIGHTS):
        with (folder / name).open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _key(setting: str, asked: Mapping[str, Any]) -> str:
    named = [setting, asked["task"], *(asked[name] for name in _ASKED)]
    return json.dumps(named, ensure_ascii=False)


def has_replies(path: Path) -> bool:
    """Say whether a file begins as one of replies does, or is empty."""
    try:
        with open_text(path) as file:
            first = file.readline(_CHUNK)
        return not first or "model" in parse_json(first, str(path))
    except (ConfigError, TypeError):
        return False


def _whole_lines(path: Path) -> list[str]:
    """Return the lines of a file, less one that was being written when its run was stopped."""
    if not path.exists():
        return []
    *lines, rest = read_text(path, error=DataError).split("\n")
    if rest and lines and has_replies(path):
        write_whole(path, "".join(f"{line}\n" for line in lines))
    elif rest and not lines:
        raise DataError(f"{path}: line 1: {shorten(repr(rest))}; expected a file of replies")
    return lines


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    row = parse_json(line, f"{path}: line {number}", error=DataError)
    if not isinstance(row, dict):
        raise DataError(f"{path}: line {number}: expected a JSON object, got {shorten(line)}")
    return row
