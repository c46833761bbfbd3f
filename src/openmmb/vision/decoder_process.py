"""Decoding in a process of its own, for decoders that nothing else can stop.

The decoders of WebP, TIFF, AVIF and HEIC are one call each, in libraries that print, have been
known to crash, or take memory that no header tells of; that of run-length encoded BMP is Python.
Such a picture is decoded by another process, whose memory and processor time the system limits.
"""

import os
import subprocess
import sys
import threading
from typing import IO, Final

from PIL import Image

from openmmb.errors import ImageError
from openmmb.vision.decoder_child import ANSWER, REQUEST
from openmmb.vision.decoding import Budget, too_slow
from openmmb.vision.pixels import bands

_CODE: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; from openmmb.vision.decoder_child import main; main()"
)
_FEW_THREADS: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""For NumPy, which reserves memory for each."""
_PATIENCE: Final = 10
"""A process is ended after this many times its processor time: it may wait for a processor."""


class DecoderProcess:
    """A process that decodes pictures, one at a time.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CODE, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libtiff writes there
            env=os.environ | _FEW_THREADS,
        )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def decode(self, data: bytes, budget: Budget) -> Image.Image:
        """Decode a picture into RGB; if that fails by more than its bytes, the process ends.

        Raises:
            ImageError: The picture is beyond the budget, or damaged.
        """
        ending = threading.Timer(_PATIENCE * budget.seconds, self._process.kill)
        ending.daemon = True
        ending.start()
        try:
            return self._ask(data, budget)
        except (OSError, EOFError) as error:
            self.close()
            raise ImageError(self._why_it_ended(budget)) from error
        except ImageError:
            raise
        except BaseException:  # interrupted: what it would answer next is not what was asked
            self.close()
            raise
        finally:
            ending.cancel()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not sent yet
                    continue
        self._process.wait()

    def disown(self) -> None:
        """Leave it to the process that this one was forked from."""
        self._process.returncode = 0

    def _ask(self, data: bytes, budget: Budget) -> Image.Image:
        to, back = self._process.stdin, self._process.stdout
        if to is None or back is None:
            raise EOFError
        to.write(REQUEST.pack(len(data), budget.pixels, budget.memory, budget.seconds))
        to.write(data)
        to.flush()
        message, width, height = ANSWER.unpack(_read(back, ANSWER.size))
        if message:
            raise ImageError(_read(back, message).decode())
        image = Image.new("RGB", (width, height))
        for box in bands(image.size):
            size = width, box[3] - box[1]
            image.paste(Image.frombytes("RGB", size, _read(back, 3 * size[0] * size[1])), box)
        return image

    def _why_it_ended(self, budget: Budget) -> str:
        slow = (-9, -27)  # SIGKILL by the timer, SIGPROF by its own
        if self._process.returncode in slow:
            return too_slow(budget.seconds)
        return "damaged: its decoder crashed"


def _read(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data
