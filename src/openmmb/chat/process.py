"""The process that computes, which may be a copy of the one that began to."""

import os

import torch


class Process:
    """Remembers the process that it was made in."""

    def __init__(self) -> None:
        self._number = os.getpid()

    def enter(self) -> None:
        """In a forked copy of that process go on with one thread.

        A fork copies none of OpenMP's other threads, and an operation would wait for them forever.
        """
        if self._number != os.getpid():
            self._number = os.getpid()
            torch.set_num_threads(1)
