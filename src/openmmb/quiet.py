"""Warnings off in one thread, while the others keep theirs.

``warnings.catch_warnings`` swaps the filters of the whole process: two threads that use it at once
can leave them swapped for good. Here one filter is added to those that are there and stays; it
matches only in threads that asked for quiet.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class _Thread(threading.local):
    is_quiet = False


_thread = _Thread()


class _WhereQuiet(type):
    """The kind of a category that every warning belongs to, in a thread that is quiet."""

    def __subclasscheck__(cls, subclass: type) -> bool:
        return _thread.is_quiet


class _Any(Warning, metaclass=_WhereQuiet):
    """Any warning of a thread that is quiet."""


@contextmanager
def no_warnings() -> Iterator[None]:
    """Ignore every warning that this thread gives meanwhile.

    A program that changes the filters at the same moment may still see one.
    """
    first = warnings.filters[0] if warnings.filters else None
    if first is None or first[2] is not _Any:  # the first filter that matches decides
        warnings.simplefilter("ignore", _Any)
    before = _thread.is_quiet
    _thread.is_quiet = True
    try:
        yield
    finally:
        _thread.is_quiet = before
