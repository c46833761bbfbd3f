"""A person asks a run to stop: Ctrl-C, or the signal that ``kill`` sends."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether the run was asked to stop.

    A second signal does what it would have done without this. A signal that is ignored, such as
    under ``nohup``, stays ignored. Outside the main thread Python allows no handlers, so no signal
    asks there.
    """
    asked = False
    before: dict[signal.Signals, signal._HANDLER] = {}

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 the signature of a handler
        nonlocal asked
        asked = True
        restore()

    def restore() -> None:
        while before:
            signal.signal(*before.popitem())

    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None):
                before[number] = handler
                signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        restore()
