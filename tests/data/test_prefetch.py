"""Results come in order and are the same for any number of workers; so are errors."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from openmmb.data.prefetch import makers, prefetch
from openmmb.errors import ConfigError, DataError, TrainingError

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize(("start", "stop"), [(0, 0), (3, 4), (2, 9), (9, 2)])
def test_any_number_of_workers_gives_the_same(workers: int, start: int, stop: int) -> None:
    def make(number: int) -> torch.Tensor:
        if number % 2:  # the later ones are ready sooner
            time.sleep(0.01)
        return torch.full((2,), number)

    found = [made.tolist() for made in prefetch(make, start, stop, workers=workers)]
    assert found == [[number] * 2 for number in range(start, stop)]


def broken_at_three(error: type[Exception]) -> Callable[[int], int]:
    def make(number: int) -> int:
        if number == 3:
            raise error("row 3: it is broken")
        return number

    return make


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_error_comes_where_its_result_would_have_come(workers: int) -> None:
    stream = prefetch(broken_at_three(DataError), 0, 9, workers=workers)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match=r"^row 3: it is broken$"):
        next(stream)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_mistake_of_the_program_shows_where_it_was_made(workers: int) -> None:
    with pytest.raises(ZeroDivisionError, match="row 3"):
        list(prefetch(broken_at_three(ZeroDivisionError), 0, 9, workers=workers))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_closing_ends_the_workers(workers: int) -> None:
    threads, others = threading.active_count(), set(multiprocessing.active_children())
    stream = prefetch(lambda number: (number, os.getpid()), 0, 10**9, workers=workers)
    assert [next(stream)[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    assert (next(stream)[1] == os.getpid()) == (workers == 0)
    assert len(set(multiprocessing.active_children()) - others) == workers
    stream.close()
    assert set(multiprocessing.active_children()) <= others
    assert threading.active_count() <= threads


def test_processes_are_started_at_once_by_who_wants_them() -> None:
    others = set(multiprocessing.active_children())
    with makers(lambda _: os.getpid(), workers=2) as made:
        started = set(multiprocessing.active_children()) - others
        assert len(started) == 2
        assert set(made(0, 9)) <= {process.pid for process in started}
    assert set(multiprocessing.active_children()) <= others


def test_another_thread_may_ask_and_end() -> None:
    """To the system, the thread that starts a process is its parent, whose end it would not see."""
    with makers(lambda number: (number, os.getpid()), workers=2) as made:
        stream = made(0, 20)
        for part in range(4):
            with ThreadPoolExecutor(1) as asking:
                found = [asking.submit(next, stream).result() for _ in range(5)]
            assert [number for number, _ in found] == list(range(5 * part, 5 * part + 5))
            assert os.getpid() not in {process for _, process in found}


def test_makers_may_be_asked_more_than_once() -> None:
    with makers(lambda number: number**2, workers=1) as made:
        assert next(made(0, 10**9)) == 0
        assert list(made(3, 6)) == [9, 16, 25]


def test_a_thread_may_prepare_what_processes_have_made() -> None:
    """So pinned memory is filled where there is a graphics card."""
    threads, others = threading.active_count(), set(multiprocessing.active_children())
    with makers(lambda number: torch.full((2,), number), workers=2) as made:
        stream = made(0, 10**9)
        prepared = prefetch(lambda _: next(stream) + 1, 0, 10**9, workers=0)
        assert [next(prepared).tolist() for _ in range(5)] == [[n] * 2 for n in range(1, 6)]
        prepared.close()
    assert set(multiprocessing.active_children()) <= others
    assert threading.active_count() <= threads


def test_what_fails_in_a_process_is_told_through_a_thread() -> None:
    def make(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with makers(make, workers=2) as made:
        stream = made(0, 9)
        prepared = prefetch(lambda _: next(stream), 0, 9, workers=0)
        with pytest.raises(TrainingError, match=r"^data\.workers: one of 2 processes .* was kill"):
            list(prepared)


def test_workers_draw_nothing_from_the_chance_of_the_network() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    list(prefetch(lambda _: torch.rand(1), 0, 3, workers=2))
    assert torch.rand(1) == wanted


def test_a_process_that_is_killed_ends_the_run_in_one_line() -> None:
    def make(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(TrainingError, match=r"^data\.workers: one of 2 processes .* was killed"):
        list(prefetch(make, 0, 9, workers=2))


def test_processes_leave_stopping_to_their_parent() -> None:
    def make(number: int) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        return number

    assert list(prefetch(make, 0, 3, workers=2)) == [0, 1, 2]


def test_workers_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="workers must be at least 0, got -1"):
        next(prefetch(abs, 0, 3, workers=-1))


def test_processes_are_refused_where_none_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(ConfigError, match=r"data\.workers: 2, but this system cannot fork"):
        next(prefetch(abs, 0, 3, workers=2))


STAY = """
import os
from openmmb.data.prefetch import makers, prefetch
for worker in prefetch(lambda number: os.getpid(), 0, 10**9, workers=2):
    print(worker, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers look for their parent")
def test_workers_do_not_outlive_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", STAY], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        workers: set[int] = set()
        while len(workers) < 2:
            workers.add(int(parent.stdout.readline()))
        parent.kill()
    deadline = time.monotonic() + 5
    while alive := [worker for worker in workers if is_alive(worker)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.01)


def is_alive(process: int) -> bool:
    """Say whether a process is there and has not ended (``Z``: nobody has asked for its end)."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
