"""The numbers of a run, as JSON lines in its folder and as records for whoever watches."""

import json
from collections.abc import Callable
from pathlib import Path

Record = dict[str, float | str]
"""One line of the log; ``kind`` says which: ``start``, ``step``, ``valid``, ``save``, ``end``."""

Watch = Callable[[Record], None]
"""Sees every record as it is written."""


class Log:
    """Write records to ``log.jsonl`` and show them to a watcher."""

    def __init__(self, run: Path, watch: Watch) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self._path = run / "log.jsonl"
        self._watch = watch

    def write(self, kind: str, numbers: Record) -> None:
        """Write one record."""
        record: Record = {"kind": kind, **numbers}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        self._watch(record)

    def cut_after(self, step: int) -> None:
        """Drop the records of updates after ``step``, which a resumed run will make again."""
        if not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if _step_of(line) <= step]
        self._path.write_text("".join(kept), encoding="utf-8")


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line).get("step", 0))
    except json.JSONDecodeError:  # the last line of a run that was killed while writing it
        return float("inf")
