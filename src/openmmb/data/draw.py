"""Choices as pure functions: the same key gives the same draw, on any machine, in any order."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def uniform(*key: str | int) -> float:
    """Draw from [0, 1), decided by ``key`` alone."""
    return (_integer(key) >> 11) / 2**53  # as many bits as a float holds, so never 1


def pick(count: int, *key: str | int) -> int:
    """Draw from 0 to ``count - 1``, decided by ``key`` alone."""
    return _integer(key) * count >> 64


def take_evenly(rows: Sequence[T], count: int) -> Sequence[T]:
    """Return at most ``count`` rows, spread evenly over all of them."""
    if len(rows) <= count:
        return rows
    return [rows[index * len(rows) // count] for index in range(count)]


def _integer(key: tuple[str | int, ...]) -> int:
    text = "\x1f".join(str(item) for item in key)  # a separator that no name holds
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
