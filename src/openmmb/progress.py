"""Progress on a terminal; where there is none, plain lines now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from openmmb.train.log import Record

PLAIN_EVERY_S = 30.0
"""Between two lines where nobody watches a bar."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.1f}/s", "dim")


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that something takes a moment; nothing where there is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(f"{what} ..."):
        yield


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar; yield a function of how many are done and how many there are."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_counting(what)
        return
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # A bar takes what is printed meanwhile, to print it above itself; where standard output is a
    # file, it belongs in there.
    shared = sys.stdout.isatty()
    with Progress(*columns, console=console, redirect_stdout=shared) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show


def _plain_counting(what: str) -> Callable[[int, int], None]:
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > PLAIN_EVERY_S:
            last = time.monotonic()
            sys.stderr.write(f"{what}: {done} of {total}\n")

    return show


@contextmanager
def watching() -> Iterator[Callable[["Record"], None]]:
    """Show a training run; yield the function that its records go to."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda record: _tell(console, record)
        return
    columns = (
        TextColumn("update"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("starting", total=None)

        def show(record: "Record") -> None:
            if record["kind"] == "start":
                bar.update(task, total=float(record["max_steps"]))
            if record["kind"] in ("start", "step"):
                bar.update(task, completed=float(record["step"]))
            if record["kind"] == "step":
                numbers = f"ppl {record['ppl']:.2f}  {record['tokens_per_s']:.0f} tokens/s"
                bar.update(task, description=numbers)
            else:
                _tell(console, record)

        yield show


def _tell(console: Console, record: "Record") -> None:
    """Print one record as a line; of the steps, only every tenth record."""
    numbers = {key: value for key, value in record.items() if key != "kind"}
    if record["kind"] == "step" and int(record["step"]) % 100:
        return
    shown = "  ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in numbers.items()
    )
    console.print(f"{record['kind']:6} {shown}", markup=False, highlight=False, soft_wrap=True)
