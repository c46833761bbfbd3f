"""What the next updates need, made while the network is busy with this one."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch  # with it, processes send tensors through shared memory

from openmmb.errors import ConfigError, TrainingError

T = TypeVar("T")

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def prefetch(
    make: Callable[[int], T], start: int, stop: int, *, workers: int
) -> Generator[T, None, None]:
    """Yield ``make(start)`` to ``make(stop - 1)`` in order, made ahead, as ``makers`` does."""
    with makers(make, workers=workers) as made:
        yield from made(start, stop)


@contextmanager
def makers(
    make: Callable[[int], T], *, workers: int
) -> Iterator[Callable[[int, int], Generator[T, None, None]]]:
    """Start what makes results ahead.

    What comes out is the same for any number of workers. What ``make`` raises is raised where its
    result would have come. Leaving ends the workers, after what they have at hand.

    A thread shares Python's one lock with the network's own calls: enough where an update takes
    much longer than its batches, as on a CPU. Processes share nothing. They begin as copies of
    this one, so ``make`` may be any function, but must not touch a graphics card. A copy has only
    the thread that made it, and whatever another thread held locked stays locked in it; so call
    this from the main thread, before there is a network or anything on a graphics card. Then the
    copies keep no memory of these alive either.

    Args:
        make: A pure function.
        workers: Processes, each of which makes one result ahead; 0: a thread does.

    Yields:
        A function of a first number and one more than the last, which yields their results in
        order; any thread may ask for them.

    Raises:
        ConfigError: Processes are asked for on a system that cannot copy one.
        TrainingError: A process was killed.
        ValueError: ``workers`` is below 0.
    """
    if workers < 0:
        raise ValueError(f"workers must be at least 0, got {workers}")
    pool, call = (_processes(make, workers), _call) if workers else (ThreadPoolExecutor(1), make)

    try:
        yield partial(_ahead, pool, call, workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ahead(
    pool: Executor, call: Callable[[int], T], workers: int, start: int, stop: int
) -> Generator[T, None, None]:
    ahead: deque[Future[T]] = deque()
    try:
        for number in range(start, stop):
            ahead.append(pool.submit(call, number))
            if len(ahead) > max(1, workers):
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    except BrokenProcessPool as error:
        raise TrainingError(
            f"data.workers: one of {workers} processes that make batches was killed, perhaps "
            "for lack of memory; use fewer"
        ) from error


def _processes(make: Callable[[int], Any], workers: int) -> ProcessPoolExecutor:
    if "fork" not in multiprocessing.get_all_start_methods():
        raise ConfigError(f"data.workers: {workers}, but this system cannot fork; set it to 0")
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin, initargs=(make, os.getpid())
    )
    pool.submit(os.getpid)  # the first task starts all of them, here and not where it is needed
    return pool


_make: Callable[[int], Any]
"""What a worker process was started for."""


def _call(number: int) -> Any:
    return _make(number)


def _begin(make: Callable[[int], Any], parent: int) -> None:
    """Live as long as the parent, whatever ends it; to the system that is the thread that forked.

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
        if os.getppid() != parent:  # it died before the system was told
            os._exit(1)
