"""The numbers of a run, as JSON lines in its folder and as records for a watcher.

Where TensorBoard is installed its curves are written too: ``tensorboard --logdir RUN``.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from openmmb.files import open_bytes, write_whole

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Record = dict[str, float | str]
"""One line of the log. Its ``kind`` is ``start``, ``step`` (the mean of the updates since the last
one), ``skip`` (an update that was left out), ``valid``, ``save``, ``damaged`` (a state that could
not be read), ``note`` (a message to people) or ``end``."""

Watch = Callable[[Record], None]
"""Sees every record as it is written."""

LOG = "log.jsonl"
"""Name of the file in a run's folder."""

LARGEST = 1e300
"""Bound of the numbers of a record; infinities and NaN are words."""

STANDING = ("kind", "step", "tokens", "seconds")
"""Keys that say what a record is and where the run stands; the others are its numbers."""

CURVES = {"step": "train", "valid": "valid"}
"""Kinds of records that are points of curves, with the group of their curves in TensorBoard."""


class Log:
    """Write records to ``log.jsonl`` and show them to a watcher and to TensorBoard.

    Args:
        run: Folder of the run, made if need be.
        watch: Sees every record.
    """

    def __init__(self, run: Path, watch: Watch) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self._path = run / LOG
        self._watch = watch
        self._last_step = 0
        self._curves: SummaryWriter | None = None
        self._tried_curves = False

    def write(self, kind: str, numbers: Record) -> None:
        """Write one record; infinities and NaN, which JSON lacks, are written as words."""
        record: Record = {"kind": kind, **numbers}
        line = json.dumps({key: _jsonable(value) for key, value in record.items()})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        self._watch(record)
        if kind in CURVES:
            self._draw(record)

    def cut_after(self, step: int) -> None:
        """Drop the records of updates after ``step``, which a resumed run will write again."""
        self._last_step = step
        if not self._path.exists():
            return
        lines = _lines(self._path)
        parsed = [_parse(line) for line in lines]
        kept = [line for line, record in zip(lines, parsed, strict=True) if _is_of(record, step)]
        write_whole(self._path, "".join(f"{line}\n" for line in kept))
        damaged = parsed[:-1].count(None)  # the last line is torn wherever a run was killed
        if damaged:
            text = f"damaged lines of {LOG} that were dropped: {damaged}"
            self.write("note", {"step": step, "text": text})

    def _draw(self, record: Record) -> None:
        """Add a record to the curves of TensorBoard, where it is installed."""
        if not self._tried_curves:
            self._tried_curves = True
            self._curves = _open_curves(self._path.parent / "tensorboard", self._last_step + 1)
            if self._curves is None:
                text = "TensorBoard is not installed; for its curves use pip install tensorboard"
                self.write("note", {"step": record["step"], "text": text})
        if self._curves is not None:
            group = CURVES[str(record["kind"])]
            for key, value in numbers_of(record).items():
                self._curves.add_scalar(f"{group}/{key}", value, int(record["step"]))
            self._curves.flush()


def numbers_of(record: Record) -> dict[str, float]:
    """Return what a record measures, without where the run stands and without words."""
    return {
        key: float(value)
        for key, value in record.items()
        if key not in STANDING and not isinstance(value, str)
    }


def read_log(path: Path) -> tuple[list[Record], int]:
    """Return the records of a ``log.jsonl``, and how many of its lines are damaged.

    A machine that crashes may leave anything in it.

    Raises:
        OSError: There is no such file.
    """
    parsed = [_parse(line) for line in _lines(path)]
    records = [record for record in parsed if record is not None]
    return records, len(parsed) - len(records)


def _open_curves(folder: Path, first_step: int) -> "SummaryWriter | None":
    """Open TensorBoard's file; TensorBoard hides what was written for ``first_step`` and later."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=first_step)


def _lines(path: Path) -> list[str]:
    with open_bytes(path) as file:
        return [line for line in file.read().decode("utf-8", "replace").split("\n") if line]


def _parse(line: str) -> Record | None:
    """Return the record that a line holds; nothing, if it is damaged or torn."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        return None
    whole = all(map(_is_value, record.values())) and _is_number(record.get("step", 0))
    return record if whole else None


def _is_value(value: object) -> bool:
    return isinstance(value, (str, bool)) or _is_number(value)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < LARGEST


def _jsonable(value: float | str) -> float | str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _is_of(record: Record | None, step: int) -> bool:
    """Return whether a record is whole and of an update up to ``step``."""
    return record is not None and float(record.get("step", 0)) <= step
