"""Quiet holds for the thread that asked for it, and for as long as it asked."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from openmmb.quiet import no_warnings


def test_a_quiet_thread_gives_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with no_warnings(), no_warnings():
            warnings.warn("unheard", stacklevel=1)
            warnings.simplefilter("error")  # a filter that comes later is before those there are
            with no_warnings():
                warnings.warn("unheard", DeprecationWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="heard"):
            warnings.warn("heard", stacklevel=1)


def test_an_error_ends_the_quiet() -> None:
    with pytest.raises(ZeroDivisionError), no_warnings():
        _ = 1 / 0
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", stacklevel=1)


def test_other_threads_keep_their_warnings() -> None:
    with warnings.catch_warnings(), no_warnings(), ThreadPoolExecutor(1) as pool:
        with pytest.raises(UserWarning, match="heard"):
            pool.submit(warnings.warn, "heard", UserWarning, 1).result()
        warnings.warn("unheard", stacklevel=1)


def test_threads_that_overlap_leave_the_filters_as_one_alone_would() -> None:
    first_is_out = threading.Event()
    both_are_in = threading.Barrier(2)

    def first() -> None:
        with no_warnings():
            both_are_in.wait(10)
        first_is_out.set()

    def second() -> None:
        with no_warnings():
            both_are_in.wait(10)
            assert first_is_out.wait(10)
            warnings.warn("unheard", stacklevel=1)
        with pytest.raises(UserWarning, match="heard"):
            warnings.warn("heard", stacklevel=1)

    with warnings.catch_warnings(), ThreadPoolExecutor(2) as pool:
        warnings.simplefilter("error")
        for done in (pool.submit(first), pool.submit(second)):
            done.result()
        with pytest.raises(UserWarning, match="heard"):
            warnings.warn("heard", stacklevel=1)
