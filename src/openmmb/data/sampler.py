"""Which examples are learnt when: a pure function of (seed, step).

An interrupted run continues exactly where it was by its step number alone, and any number of
workers or ranks reads the same stream.
"""

from collections.abc import Sized
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from openmmb.errors import ConfigError

WINDOW = 50
"""Batches of a window, about: of the examples of as many, those of like length are put together,
so that a batch pads little."""


@dataclass(frozen=True, slots=True)
class Window:
    """Some batches in a row, none of another epoch.

    Attributes:
        number: Counted from 0 over all epochs.
        start: Its first batch, counted the same way.
        size: How many batches.
    """

    number: int
    start: int
    size: int


@dataclass(frozen=True, eq=False)
class Sampler:
    """Draws from several tasks, each in proportion to its size and weight.

    A task is gone through in random order, over and over, without regard to where epochs end, so
    a weight below 1 leaves no example out in the long run. The proportions are those of ParlAI's
    stochastic multitasking.

    Attributes:
        examples: For each task its examples, or anything else that is as long.
        weights: For each task how many times an epoch goes through it.
        batch_size: Examples of a batch.
        seed: Decides the order.

    Raises:
        ConfigError: A weight is so small that an epoch has no example of its task, or a batch has
            more examples than an epoch.
    """

    examples: tuple[Sized, ...]
    weights: tuple[float, ...]
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        for task, count in enumerate(self.counts):
            if count == 0:
                raise ConfigError(
                    f"tasks.{task}: weight {self.weights[task]} of {len(self.examples[task])} "
                    "examples leaves none; raise it"
                )
        if self.steps_per_epoch == 0:
            raise ConfigError(
                f"data.batch_size: {self.batch_size}, but an epoch has only "
                f"{sum(self.counts)} examples; lower it"
            )

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """For each task how many examples an epoch draws from it."""
        return tuple(
            round(weight * len(examples))
            for weight, examples in zip(self.weights, self.examples, strict=True)
        )

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; what is left over joins no batch of this epoch."""
        return sum(self.counts) // self.batch_size

    @property
    def windows_per_epoch(self) -> int:
        """Windows of an epoch, as equal as they can be."""
        return max(1, round(self.steps_per_epoch / WINDOW))

    def window(self, number: int) -> Window:
        """Return window ``number``, counted from 0 over all epochs."""
        epoch, index = divmod(number, self.windows_per_epoch)
        first = epoch * self.steps_per_epoch
        start, stop = (self._first_step(window) for window in (index, index + 1))
        return Window(number=number, start=first + start, size=stop - start)

    def window_of(self, step: int) -> Window:
        """Return the window of batch ``step``, counted from 0 over all epochs."""
        epoch, index = divmod(step, self.steps_per_epoch)
        window = ((index + 1) * self.windows_per_epoch - 1) // self.steps_per_epoch
        return self.window(epoch * self.windows_per_epoch + window)

    def draws(self, window: Window) -> npt.NDArray[np.int64]:
        """Return the examples of a window in random order, one a row, in three columns.

        These are its task, its index in the task, and how often the sampler has been through that
        task before.
        """
        epoch, index = divmod(window.start, self.steps_per_epoch)
        sizes = tuple(map(len, self.examples))
        rows = slice(index * self.batch_size, (index + window.size) * self.batch_size)
        return _draws(sizes, self.counts, self.seed, epoch)[rows]

    def _first_step(self, window: int) -> int:
        return window * self.steps_per_epoch // self.windows_per_epoch


@lru_cache(maxsize=2)
def _draws(
    sizes: tuple[int, ...], counts: tuple[int, ...], seed: int, epoch: int
) -> npt.NDArray[np.int64]:
    """Return every draw of an epoch, and a few that join no batch: (sum of ``counts``, 3)."""
    rows = [
        _of_task(task, size, seed, epoch * count, count)
        for task, (size, count) in enumerate(zip(sizes, counts, strict=True))
    ]
    order = np.random.default_rng([seed, epoch]).permutation(sum(counts))
    return np.concatenate(rows)[order]


def _of_task(task: int, size: int, seed: int, start: int, count: int) -> npt.NDArray[np.int64]:
    """Return draws ``start`` to ``start + count`` of one task's endless shuffled stream."""
    pieces = []
    while count > 0:
        pass_number, index = divmod(start, size)
        shuffled = np.random.default_rng([seed, task, pass_number]).permutation(size)
        taken = shuffled[index : index + count]
        columns = (np.full_like(taken, task), taken, np.full_like(taken, pass_number))
        pieces.append(np.stack(columns, axis=1))
        start, count = start + len(taken), count - len(taken)
    return np.concatenate(pieces)
