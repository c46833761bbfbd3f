"""Decoding by any number of threads: in them, or for some formats in processes of their own.

As many pictures are decoded at once as there are processors, but at least four, so that a crowd
takes no more memory than those; the others wait. A process is started with the first picture that
needs one and kept for the next. It ends with the program.
"""

import atexit
import os
import threading
from typing import Final

from PIL import Image

from openmmb.errors import ImageError
from openmmb.vision.decoder_process import DecoderProcess
from openmmb.vision.decoding import Budget, decode
from openmmb.vision.formats import Format

AT_ONCE: Final = max(4, os.cpu_count() or 1)
"""Most pictures that are decoded at the same time."""


class Decoders:
    """What decodes for this process."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew, without waiting for anybody and without any process."""
        self._lock = threading.Lock()
        self._idle: list[DecoderProcess] = []
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def decode(self, data: bytes, kind: Format, budget: Budget) -> Image.Image:
        """Decode a picture into RGB, the right way up.

        Raises:
            ImageError: It is beyond the budget, or damaged. The message does not name the picture.
        """
        with self._free:
            return self._decode_apart(data, budget) if kind.apart else decode(data, kind, budget)

    def close(self) -> None:
        """End the processes that are idle."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def after_fork(self) -> None:
        """Leave processes and locks to the process that this one was forked from."""
        for process in self._idle:
            process.disown()
        self.renew()

    def take(self) -> DecoderProcess:
        """Return a process that is idle, or a new one.

        Raises:
            ImageError: None can be started.
        """
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.runs:
                    return process
                process.close()
        try:
            return DecoderProcess()
        except OSError as error:
            raise ImageError(f"no process to decode it can be started: {error.strerror}") from error

    def give_back(self, process: DecoderProcess) -> None:
        """Keep a process for the next picture, if it still runs."""
        if process.runs:
            with self._lock:
                self._idle.append(process)

    def _decode_apart(self, data: bytes, budget: Budget) -> Image.Image:
        process = self.take()
        try:
            return process.decode(data, budget)
        finally:
            self.give_back(process)


DECODERS: Final = Decoders()

atexit.register(DECODERS.close)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=DECODERS.after_fork)
