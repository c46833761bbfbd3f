"""Products of float32 as float32, whatever the program allows elsewhere (TF32, bfloat16).

PyTorch has one setting for all threads of a process. The first thread that needs it makes it, the
last one puts back what was there; meanwhile it holds for the other threads too.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

_SETTINGS: Final = (
    torch.backends.cuda.matmul,
    torch.backends.cudnn.conv,  # type: ignore[attr-defined]
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
    torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
)


class _Users:
    """The threads that need exact products right now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._before: list[str] = []

    def enter(self) -> None:
        with self._lock:
            if self._count == 0:
                self._before = [setting.fp32_precision for setting in _SETTINGS]
                for setting in _SETTINGS:
                    setting.fp32_precision = "ieee"
            self._count += 1

    def leave(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                for setting, value in zip(_SETTINGS, self._before, strict=True):
                    setting.fp32_precision = value


_users: Final = _Users()


@contextmanager
def exact_products() -> Iterator[None]:
    """Multiply float32 as float32 until the block ends; any number of threads may be in one."""
    _users.enter()
    try:
        yield
    finally:
        _users.leave()
