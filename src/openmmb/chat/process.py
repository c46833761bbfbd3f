"""The threads that a process computes with: OpenMP's, of which each caller has a team."""

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Final

import torch

SOFT: Final = 1
"""OpenMP's ``omp_pause_soft``: threads go, settings stay."""


class Process:
    """Remembers the process that it was made in; whatever computes does so within ``with``."""

    def __init__(self) -> None:
        self._number = os.getpid()

    def __enter__(self) -> None:
        """In a forked copy of that process go on with one thread.

        A fork copies none of OpenMP's other threads, and an operation would wait for them forever.
        """
        if self._number != os.getpid():
            self._number = os.getpid()
            torch.set_num_threads(1)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let this thread's team go."""
        release_team()


def release_team() -> None:
    """Let the OpenMP threads go that this thread computes with; the next operation gets new ones.

    Where there are more of them than processors, GNU's OpenMP lets them sleep between operations,
    and waking them takes as long as a small model's operation: the team of a thread that computed
    once would halve the speed of every other for as long as that thread lives.
    """
    pause = _pause()
    if pause is not None:
        pause(SOFT)


@cache
def _pause() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):  # elsewhere PyTorch comes with another OpenMP
        return None
    pause: Callable[[int], int] | None
    pause = getattr(ctypes.CDLL(None), "omp_pause_resource_all", None)
    return pause
