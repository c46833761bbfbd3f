"""Progress on a terminal; where there is none, plain lines now and then."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from openmmb.training.run.log import Record

PLAIN_EVERY_S = 30.0
"""Seconds between two lines where there is no terminal for a bar."""


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that something takes a moment; nothing where there is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():  # the look at a terminal takes a moment
        yield
        return
    console = _console()
    if not console.is_terminal:
        yield
        return
    with console.status(f"{what} ..."):
        yield


@contextmanager
def counting(what: str, *, unit: int = 1) -> Iterator[Callable[[int, int], None]]:
    """Show a bar; yield a function of how many are done and how many there are.

    Args:
        what: What is counted.
        unit: How many make one that is shown, such as the bytes of a megabyte.
    """
    console = _console()
    pace = _Pace()
    if not console.is_terminal:
        plain = _plain_counting(what, pace)
        yield lambda done, total: plain(-(-done // unit), -(-total // unit))
        return
    with _bar(what, console) as bar:
        task = bar.add_task("", total=None)

        def show(done: int, total: int) -> None:
            done, total = -(-done // unit), -(-total // unit)
            pace.note(done)
            bar.update(task, completed=done, total=total, description=pace.shown(total))

        yield show


@contextmanager
def watching() -> Iterator[Callable[["Record"], None]]:
    """Show a training run; yield the function that its records go to."""
    console = _console()
    run = _Run()
    if not console.is_terminal:
        yield lambda record: _tell(console, run, record, run.note(record))
        return
    with _bar("update", console) as bar:
        task = bar.add_task("starting", total=None)

        def show(record: "Record") -> None:
            shown = run.note(record)
            if record["kind"] == "step":
                bar.update(task, description=shown)
            else:
                _tell(console, run, record, shown)
            bar.update(task, completed=run.step, total=run.max_steps or None)

        yield show


class _Pace:
    """How fast something goes, by what has been done since it was first looked at."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None
        self.done = 0.0
        self.rate = 0.0

    def note(self, done: float) -> None:
        """Take down how much is done; what was there at the first look took no time."""
        now = time.monotonic()
        first_time, first_done = self._first = self._first or (now, done)
        self.done = done
        self.rate = (done - first_done) / max(1e-9, now - first_time)

    def left_s(self, total: float) -> float:
        """Return the seconds to the end, infinity as long as nobody can know."""
        return (total - self.done) / self.rate if self.rate > 0 else math.inf

    def shown(self, total: float) -> str:
        """Return the rate and the time left in words; nothing at the first look."""
        left = self.left_s(total)
        return f"{self.rate:.3g}/s  {_left(left)}" if math.isfinite(left) else ""


class _Run:
    """A training run as its records tell it."""

    def __init__(self) -> None:
        self.step = 0.0
        self.max_steps = 0.0
        self.max_seconds = math.inf
        self.best = math.inf
        self._pace = _Pace()
        self._last_line = -math.inf

    def note(self, record: "Record") -> str:
        """Take down a record and return it in words."""
        numbers = {key: value for key, value in record.items() if not isinstance(value, str)}
        self.step = numbers.get("step", self.step)
        self.max_steps = numbers.get("max_steps", self.max_steps)
        self.max_seconds = numbers.get("max_seconds", self.max_seconds)
        match record["kind"]:
            case "start":
                self.best = numbers.get("best", self.best)
                self._pace.note(self.step)
            case "step":
                self._pace.note(self.step)
                return self._step(numbers)
            case "valid":
                return self._valid(numbers)
        return "  ".join(f"{key} {_short(value)}" for key, value in record.items() if key != "kind")

    def is_time_for_a_line(self) -> bool:
        """Say whether the last line about updates was some time ago."""
        now = time.monotonic()
        if now - self._last_line < PLAIN_EVERY_S:
            return False
        self._last_line = now
        return True

    def _step(self, numbers: dict[str, float]) -> str:
        shown = [f"{name} {_short(numbers[name])}" for name in ("loss", "ppl") if name in numbers]
        if "tokens_per_s" in numbers:
            shown.append(f"{numbers['tokens_per_s']:,.0f} tokens/s")
        if math.isfinite(self.best):
            shown.append(f"best {_short(self.best)}")
        seconds = self.max_seconds - numbers.get("seconds", 0.0)
        left = min(self._pace.left_s(self.max_steps), seconds)
        return "  ".join((*shown, _left(left)) if math.isfinite(left) else shown)

    def _valid(self, numbers: dict[str, float]) -> str:
        """Say what was measured: the mean, whether that is the best, then each task."""
        self.best = numbers.get("best", self.best)
        measured = {
            key.removeprefix("ppl/"): value
            for key, value in numbers.items()
            if key not in ("step", "tokens", "seconds", "best")
        }
        shown = [f"{key} {_short(value)}" for key, value in measured.items()]
        best = "the best so far" if self.best in measured.values() else f"best {_short(self.best)}"
        return "  ".join((f"step {self.step:.0f}", *shown, best))


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


def _bar(what: str, console: "Console") -> "Progress":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    # A bar takes what is printed meanwhile, to print it above itself; where standard output is a
    # file, it belongs in there.
    return Progress(*columns, console=console, redirect_stdout=sys.stdout.isatty())


def _plain_counting(what: str, pace: _Pace) -> Callable[[int, int], None]:
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        pace.note(done)
        if done == total or time.monotonic() - last > PLAIN_EVERY_S:
            last = time.monotonic()
            shown = pace.shown(total)
            sys.stderr.write(f"{what}: {done} of {total}{f'  {shown}' if shown else ''}\n")

    return show


def _tell(console: "Console", run: _Run, record: "Record", shown: str) -> None:
    """Print one record as a line; of the updates, one now and then."""
    if record["kind"] == "step":
        if not run.is_time_for_a_line():
            return
        shown = f"{run.step:.0f} of {run.max_steps:.0f}  {shown}"
    console.print(f"{record['kind']:6} {shown}", markup=False, highlight=False, soft_wrap=True)


def _short(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _left(seconds: float) -> str:
    return f"{timedelta(seconds=max(0, round(seconds)))} left"
