"""How many threads compute, and how long those without work stay awake.

PyTorch's threads meet after every product. One that waits there spins for milliseconds before it
sleeps, on a core that others may need: on two cores of which a neighbour keeps one or both busy, a
reply then takes many times as long. So they sleep soon, and where products are small there is one
thread, which waits for nobody. What a person has set stays.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SPINS: Final = 1_000
"""Looks at whether there is work before a thread sleeps. Of a network of 400M in int8, 1,000 make a
reply take three quarters of the time of none on a quiet machine, and twice its quiet time beside
two busy processes; 10,000 gain another tenth, and take five to seven times as long there."""
WAITING: Final = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
"""Variables by which a person decides how threads wait."""
THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables by which a person decides how many there are."""
SHARED: Final = 2_000_000
"""Weights of a product, for each row of a search, from which threads share it: with fewer, a
second one saves a third of the time at best, and costs the first one's again."""


_BOUNDED: Final[dict[str, str]] = {}
"""The variables that were set here, not by a person."""


def bound_spinning() -> None:
    """Let threads without work sleep soon; to be called before PyTorch is imported."""
    if "torch" not in sys.modules and not any(name in os.environ for name in WAITING):
        _BOUNDED["GOMP_SPINCOUNT"] = os.environ["GOMP_SPINCOUNT"] = str(SPINS)


def allow_spinning() -> None:
    """Let threads spin as PyTorch's do, for training, which is given cores of its own.

    To be called before PyTorch is imported; what a person has set stays.
    """
    if "torch" not in sys.modules:
        for name in _BOUNDED:
            os.environ.pop(name, None)
        _BOUNDED.clear()


@contextmanager
def few_threads(weights: int) -> Iterator[None]:
    """Compute with one thread meanwhile, if products have too few weights to be shared.

    Args:
        weights: Of the largest product of each layer, times the searches that run side by side.
    """
    import torch

    before = torch.get_num_threads()
    if weights >= SHARED or before == 1 or any(name in os.environ for name in THREADS):
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
