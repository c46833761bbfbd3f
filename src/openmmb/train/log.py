"""The numbers of a run, as JSON lines in its folder and as records for whoever watches."""

import json
import math
from collections.abc import Callable
from pathlib import Path

from openmmb.train.folder import write_whole

Record = dict[str, float | str]
"""One line of the log. ``kind`` says which: ``start``, ``step`` (the mean of the updates since the
last one), ``skip`` (an update that was left out), ``valid``, ``save``, ``damaged`` (a state that
could not be read), ``end``."""

Watch = Callable[[Record], None]
"""Sees every record as it is written."""


class Log:
    """Write records to ``log.jsonl`` and show them to a watcher."""

    def __init__(self, run: Path, watch: Watch) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self._path = run / "log.jsonl"
        self._watch = watch

    def write(self, kind: str, numbers: Record) -> None:
        """Write one record; numbers that JSON does not have are written as words."""
        record: Record = {"kind": kind, **numbers}
        line = json.dumps({key: _jsonable(value) for key, value in record.items()})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        self._watch(record)

    def cut_after(self, step: int) -> None:
        """Drop the records of updates after ``step``, which a resumed run will make again."""
        if not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines()
        kept = [f"{line}\n" for line in lines if _step_of(line) <= step]
        write_whole(self._path, "".join(kept))


def _jsonable(value: float | str) -> float | str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line).get("step", 0))
    except json.JSONDecodeError:  # the last line of a run that was killed while writing it
        return math.inf
