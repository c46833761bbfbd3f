"""What the next updates need, made while the network is busy with this one."""

import ctypes
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import torch  # with it, processes send tensors through shared memory

from openmmb.errors import ConfigError, TrainingError

T = TypeVar("T")

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def prefetch(
    make: Callable[[int], T], start: int, stop: int, *, workers: int
) -> Generator[T, None, None]:
    """Yield ``make(start)`` to ``make(stop - 1)`` in order, made ahead.

    What comes out is the same for any number of workers. What ``make`` raises is raised where its
    result would have come. Closing the generator ends the workers, after what they have at hand.

    A thread shares Python's one lock with the network's own calls: enough where an update takes
    much longer than its batches, as on a CPU. Processes share nothing. They begin as copies of
    this one, so ``make`` may be any function, but must not touch a graphics card.

    Args:
        make: A pure function.
        start: First number.
        stop: One more than the last number.
        workers: Processes, each of which makes one result ahead; 0: a thread does.

    Raises:
        ConfigError: Processes are asked for on a system that cannot copy one.
        TrainingError: A process was killed.
        ValueError: ``workers`` is below 0.
    """
    if workers < 0:
        raise ValueError(f"workers must be at least 0, got {workers}")
    pool, call = (_processes(make, workers), _call) if workers else (ThreadPoolExecutor(1), make)
    try:
        ahead: deque[Future[T]] = deque()
        for number in range(start, stop):
            ahead.append(pool.submit(call, number))
            if len(ahead) > max(1, workers):
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    except BrokenProcessPool as error:
        raise TrainingError(
            f"data.workers: one of {workers} processes that make batches was killed; is there "
            "memory for them?"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _processes(make: Callable[[int], Any], workers: int) -> ProcessPoolExecutor:
    if "fork" not in multiprocessing.get_all_start_methods():
        raise ConfigError(f"data.workers: {workers}, but this system cannot fork; set it to 0")
    context = multiprocessing.get_context("fork")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(make,))


_make: Callable[[int], Any]
"""Of a worker process, which is for one function."""


def _call(number: int) -> Any:
    return _make(number)


def _begin(make: Callable[[int], Any]) -> None:
    """Live as long as the parent, whatever ends it.

    Schedulers signal all processes, but the parent still wants what it has at hand. A worker that
    outlived it would hold what it holds: memory, and the lock on the folder of the run.
    """
    global _make  # noqa: PLW0603 a function cannot be sent, only be there
    _make = make
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
