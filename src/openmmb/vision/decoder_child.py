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

from PIL import Image

from openmmb.errors import ImageError
from openmmb.vision.decoding import Budget, decode, too_much
from openmmb.vision.formats import find_format
from openmmb.vision.pixels import bands

REQUEST: Final = struct.Struct(">QQQd")
"""Bytes of the file, which follow; most pixels; most memory; most seconds."""

ANSWER: Final = struct.Struct(">III")
"""0, width and height, then the pixels; or the bytes of the message that follows, 0 and 0."""

_SLACK: Final = 64 * 2**20
"""For what decoders take whatever the picture, and for what the allocator does not give back."""

_RESERVE: Final = 8 * 2**20
"""Held while a picture is decoded, so that something can be said where memory has run out."""


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
    reserve = bytearray(_RESERVE)
    try:
        image = _decode(data, budget)
    except MemoryError:  # so little is left that decoding could not say so itself
        reserve.clear()
        image = too_much(budget)
    if isinstance(image, str):
        message = image.encode("utf-8", "backslashreplace")
        target.write(ANSWER.pack(len(message), 0, 0) + message)
        return
    target.write(ANSWER.pack(0, *image.size))
    for box in bands(image.size):
        target.write(image.crop(box).tobytes())


def _decode(data: bytes, budget: Budget) -> Image.Image | str:
    """Return the picture, or what is wrong with it."""
    kind = find_format(data)
    if kind is None:
        return "not a picture"
    try:
        return decode(data, kind, budget)
    except ImageError as error:
        return str(error)


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
