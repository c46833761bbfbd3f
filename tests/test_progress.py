"""Progress is a bar on a terminal and plain lines elsewhere, always on standard error."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from openmmb import progress
from openmmb.progress import counting, waiting, watching
from openmmb.train.log import Record

RECORDS: tuple[Record, ...] = (
    {"kind": "start", "step": 0, "max_steps": 200, "examples/convai2": 10},
    {"kind": "step", "step": 10, "ppl": 90.0, "tokens_per_s": 2900.0},
    {"kind": "step", "step": 100, "ppl": 30.5, "tokens_per_s": 2900.0},
    {"kind": "valid", "step": 100, "ppl": 33.25, "best": 33.25},
    {"kind": "damaged", "step": 100, "state": "state-1: [Errno 5] gone"},
    {"kind": "end", "step": 200, "reason": "all steps done"},
)


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


def test_counting_on_a_terminal_is_a_bar() -> None:
    with redirect_stderr(Terminal()) as terminal, counting("pictures") as show:
        show(1, 4)
        show(4, 4)
    assert "pictures" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()


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
        for done in range(1, 5):
            show(done, 4)
    assert plain.getvalue() == "pictures: 4 of 4\n"
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", -1.0)
    with redirect_stderr(plain), counting("words") as show:
        show(1, 4)
        show(2, 4)
    assert plain.getvalue().endswith("words: 1 of 4\nwords: 2 of 4\n")


def test_a_run_on_a_terminal_is_a_bar_and_what_happened() -> None:
    with redirect_stderr(Terminal()) as terminal, watching() as watch:
        for record in RECORDS:
            watch(record)
    shown = terminal.getvalue()
    assert "100/200" in shown
    assert "ppl 30.50  2900 tokens/s" in shown
    assert "ppl 33.25  best 33.25" in shown
    assert "[Errno 5] gone" in shown


def test_a_run_in_a_file_is_lines() -> None:
    with redirect_stderr(io.StringIO()) as plain, watching() as watch:
        for record in RECORDS:
            watch(record)
    assert plain.getvalue().splitlines() == [
        "start  step 0  max_steps 200  examples/convai2 10",
        "step   step 100  ppl 30.5  tokens_per_s 2900",
        "valid  step 100  ppl 33.25  best 33.25",
        "damaged step 100  state state-1: [Errno 5] gone",
        "end    step 200  reason all steps done",
    ]


def test_waiting_shows_itself_only_on_a_terminal() -> None:
    with redirect_stderr(Terminal()) as terminal, waiting("loading"):
        pass
    assert "loading ..." in terminal.getvalue()


def test_waiting_in_a_file_is_nothing() -> None:
    with redirect_stderr(io.StringIO()) as plain, waiting("loading"):
        pass
    assert plain.getvalue() == ""
