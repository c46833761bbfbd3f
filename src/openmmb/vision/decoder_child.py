"""What the process does that decodes pictures for another one: see ``decoder_process``.

It reads requests from standard input and writes answers to standard output until its input ends,
which it also does when the other process dies.
"""

import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from openmmb.errors import ImageError
from openmmb.vision.decoding import Budget, decode
from openmmb.vision.formats import find_format
from openmmb.vision.pixels import bands

REQUEST: Final = struct.Struct(">QQQd")
"""Bytes of the file, which follow; most pixels; most memory; most seconds."""

ANSWER: Final = struct.Struct(">III")
"""0, width and height, then the pixels; or the bytes of the message that follows, 0 and 0."""

_SLACK: Final = 64 * 2**20
"""For what decoders take whatever the picture, and for what the allocator does not give back."""


def main() -> None:
    """Answer requests."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other process
    source, target = sys.stdin.buffer, sys.stdout.buffer
    own_memory = _address_space()
    while header := source.read(REQUEST.size):
        size, pixels, memory, seconds = REQUEST.unpack(header)
        budget = Budget(pixels=pixels, memory=memory, seconds=seconds)
        _limit_memory(own_memory + size + memory + _SLACK)
        _limit_time(seconds)
        _answer(source.read(size), budget, target)
        _limit_time(0)
        target.flush()


def _answer(data: bytes, budget: Budget, target: BinaryIO) -> None:
    kind = find_format(data)
    try:
        if kind is None:
            raise ImageError("not a picture")
        image = decode(data, kind, budget)
    except ImageError as error:
        message = str(error).encode("utf-8", "backslashreplace")
        target.write(ANSWER.pack(len(message), 0, 0) + message)
        return
    target.write(ANSWER.pack(0, *image.size))
    for box in bands(image.size):
        target.write(image.crop(box).tobytes())


def _limit_time(seconds: float) -> None:
    """Have the system end this process after so much processor time; 0 for never."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit_memory(count: int) -> None:
    """Have the system refuse memory beyond ``count`` bytes, where it knows how to."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _address_space() -> int:
    """Return the bytes that this process has mapped by now; a guess where nobody says."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 2**30
    import resource

    return pages * resource.getpagesize()
