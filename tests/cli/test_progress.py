"""Progress is a bar on a terminal and plain lines elsewhere, always on standard error."""

import io
import sys
import time
from contextlib import redirect_stderr, redirect_stdout

import pytest

from openmmb.cli import progress
from openmmb.cli.progress import counting, waiting, watching
from openmmb.training.run.log import Record

RECORDS: tuple[Record, ...] = (
    {"kind": "start", "step": 0, "max_steps": 200, "examples/convai2": 10},
    {"kind": "step", "step": 10, "loss": 4.5, "ppl": 90.0, "tokens_per_s": 2900.0, "seconds": 5.0},
    {"kind": "valid", "step": 10, "tokens": 9, "ppl": 33.25, "ppl/convai2": 33.25, "best": 33.25},
    {"kind": "step", "step": 20, "loss": 3.4, "ppl": 30.5, "tokens_per_s": 2900.0, "seconds": 10.0},
    {"kind": "valid", "step": 20, "tokens": 9, "ppl": 40.5, "ppl/convai2": 40.5, "best": 33.25},
    {"kind": "damaged", "step": 20, "state": "state-1: [Errno 5] gone"},
    {"kind": "end", "step": 20, "reason": "stopped"},
)


class Clock:
    """A clock that goes on by as much every time it is looked at."""

    def __init__(self, tick: float) -> None:
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


class Terminal(io.StringIO):
    """Somewhere that somebody watches."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever terminal the tests run on, the one in the tests is this one."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_counting_on_a_terminal_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", Clock(2.0))
    with redirect_stderr(Terminal()) as terminal, counting("pictures") as show:
        show(1, 400)
        show(4, 400)
    assert "pictures" in terminal.getvalue()
    assert "4/400" in terminal.getvalue()
    assert "1.5/s  0:04:24 left" in terminal.getvalue()


def test_bytes_are_counted_in_megabytes() -> None:
    with redirect_stderr(io.StringIO()) as plain, counting("a.zip, MB", unit=2**20) as show:
        show(3 * 2**20 - 5, 3 * 2**20 - 5)
    assert plain.getvalue().startswith("a.zip, MB: 3 of 3")


def test_what_is_printed_beside_a_bar_goes_where_it_should() -> None:
    """Into the file that standard output is, and above the bar where it is the terminal too."""
    file = io.StringIO()
    with redirect_stderr(Terminal()) as terminal, redirect_stdout(file), counting("captions"):
        sys.stdout.write("a row\n")
    assert file.getvalue() == "a row\n"
    assert "a row" not in terminal.getvalue()
    with redirect_stderr(Terminal()) as terminal, redirect_stdout(terminal), counting("captions"):
        sys.stdout.write("a row\n")
    assert "a row" in terminal.getvalue()


def test_counting_in_a_file_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    with redirect_stderr(io.StringIO()) as plain, counting("pictures") as show:
        show(4, 4)
    assert plain.getvalue() == "pictures: 4 of 4\n"
    monkeypatch.setattr(time, "monotonic", Clock(4.0))
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 20.0)
    with redirect_stderr(io.StringIO()) as plain, counting("words") as show:
        for done in (100, 104, 108, 112):
            show(done, 200)
    assert plain.getvalue() == "words: 108 of 200  0.5/s  0:03:04 left\n"


def test_what_was_there_before_took_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", Clock(1.0))
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", -1.0)
    with redirect_stderr(io.StringIO()) as plain, counting("pictures") as show:
        show(1_000_000, 1_000_010)
        show(1_000_001, 1_000_010)
    first, second = plain.getvalue().splitlines()
    assert first == "pictures: 1000000 of 1000010"
    assert second.startswith("pictures: 1000001 of 1000010  0.333/s  0:00:27 left")


def test_a_run_on_a_terminal_is_a_bar_and_what_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", Clock(5.0))
    monkeypatch.setenv("COLUMNS", "140")
    with redirect_stderr(Terminal()) as terminal, watching() as watch:
        for record in RECORDS:
            watch(record)
    shown = terminal.getvalue()
    assert "20/200" in shown
    assert "loss 3.4  ppl 30.5  2,900 tokens/s  best 33.25  0:01:30 left" in shown
    assert "ppl 33.25  convai2 33.25  the best so far" in shown
    assert "[Errno 5] gone" in shown


def test_a_run_in_a_file_is_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", Clock(5.0))
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 1.0)
    with redirect_stderr(io.StringIO()) as plain, watching() as watch:
        for record in RECORDS:
            watch(record)
    assert plain.getvalue().splitlines() == [
        "start  step 0  max_steps 200  examples/convai2 10",
        "step   10 of 200  loss 4.5  ppl 90  2,900 tokens/s  0:01:35 left",
        "valid  step 10  ppl 33.25  convai2 33.25  the best so far",
        "step   20 of 200  loss 3.4  ppl 30.5  2,900 tokens/s  best 33.25  0:02:15 left",
        "valid  step 20  ppl 40.5  convai2 40.5  best 33.25",
        "damaged step 20  state state-1: [Errno 5] gone",
        "end    step 20  reason stopped",
    ]


def test_lines_about_updates_come_now_and_then() -> None:
    steps: list[Record] = [
        {"kind": "step", "step": step, "loss": 2.0} for step in range(10, 500, 10)
    ]
    with redirect_stderr(io.StringIO()) as plain, watching() as watch:
        watch({"kind": "start", "step": 0, "max_steps": 500})
        for record in steps:
            watch(record)
    assert len(plain.getvalue().splitlines()) == 2


def test_a_resumed_run_knows_its_best_and_a_limit_of_time_counts() -> None:
    start: Record = {"kind": "start", "step": 90, "max_steps": 10**9, "best": 12.5}
    with redirect_stderr(io.StringIO()) as plain, watching() as watch:
        watch({**start, "max_seconds": 100.0})
        watch({"kind": "step", "step": 100, "loss": 2.0, "seconds": 40.0})
    assert plain.getvalue().splitlines()[1].endswith("loss 2  best 12.5  0:01:00 left")


def test_waiting_shows_itself_only_on_a_terminal() -> None:
    with redirect_stderr(Terminal()) as terminal, waiting("loading"):
        pass
    assert "loading ..." in terminal.getvalue()


def test_waiting_in_a_file_is_nothing() -> None:
    with redirect_stderr(io.StringIO()) as plain, waiting("loading"):
        pass
    assert plain.getvalue() == ""
