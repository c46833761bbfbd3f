"""Which examples make which batch: a pure function of (seed, step).

An interrupted run goes on exactly where it was by its step number alone, and any number of
workers or ranks reads the same stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from openmmb.errors import ConfigError

Draw = tuple[int, int, int]
"""Task, example within the task, and how often the mixture has been through that task before."""

WINDOW = 50
"""Batches whose examples are sorted by length together, so that a batch pads little."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Tasks drawn together, each in proportion to its size and weight.

    A task is gone through in random order, over and over, without regard to where epochs end, so
    a weight below 1 leaves no example out in the long run. The proportions are those of ParlAI's
    stochastic multitasking.

    Attributes:
        lengths: For each task how long each example is, in any unit that sorts; pictures first,
            say, by a large constant.
        weights: For each task how many times an epoch goes through it.
        batch_size: Examples of a batch.
        seed: Decides the order.

    Raises:
        ConfigError: A weight is so small that an epoch has no example of its task, or a batch has
            more examples than an epoch.
    """

    lengths: tuple[npt.NDArray[np.int64], ...]
    weights: tuple[float, ...]
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        for task, count in enumerate(self._counts()):
            if count == 0:
                raise ConfigError(
                    f"tasks.{task}: weight {self.weights[task]} of {len(self.lengths[task])} "
                    "examples leaves none"
                )
        if self.steps_per_epoch == 0:
            raise ConfigError(
                f"data.batch_size: {self.batch_size}, but an epoch has only "
                f"{sum(self._counts())} examples"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; what is left over joins no batch of this epoch."""
        return sum(self._counts()) // self.batch_size

    def draws(self, step: int) -> list[Draw]:
        """Return the examples of batch ``step``, counted from 0 over all epochs."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return [_draw(row) for row in _epoch(self, epoch)[place]]

    def _counts(self) -> list[int]:
        return [
            round(weight * len(lengths))
            for weight, lengths in zip(self.weights, self.lengths, strict=True)
        ]

    def _plan(self, epoch: int) -> npt.NDArray[np.int64]:
        """(batches, batch_size, 3): every draw of an epoch."""
        rows, lengths = [], []
        for task, count in enumerate(self._counts()):
            drawn = self._of_task(task, epoch * count, count)
            rows.append(drawn)
            lengths.append(self.lengths[task][drawn[:, 1]])
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(sum(self._counts()))[: self.steps_per_epoch * self.batch_size]
        drawn, length = np.concatenate(rows)[order], np.concatenate(lengths)[order]
        for start in range(0, len(order), WINDOW * self.batch_size):
            window = slice(start, start + WINDOW * self.batch_size)
            drawn[window] = drawn[window][length[window].argsort(kind="stable")]
        plan = drawn.reshape(-1, self.batch_size, 3)
        return plan[rng.permutation(len(plan))]

    def _of_task(self, task: int, start: int, count: int) -> npt.NDArray[np.int64]:
        """Draws ``start`` to ``start + count`` of one task's endless shuffled stream."""
        size = len(self.lengths[task])
        parts = []
        while count > 0:
            pass_number, place = divmod(start, size)
            shuffled = np.random.default_rng([self.seed, task, pass_number]).permutation(size)
            taken = shuffled[place : place + count]
            columns = (np.full_like(taken, task), taken, np.full_like(taken, pass_number))
            parts.append(np.stack(columns, axis=1))
            start, count = start + len(taken), count - len(taken)
        return np.concatenate(parts)


@lru_cache(maxsize=2)
def _epoch(mixture: Mixture, epoch: int) -> npt.NDArray[np.int64]:
    return mixture._plan(epoch)


def _draw(row: Sequence[int]) -> Draw:
    task, example, pass_number = (int(number) for number in row)
    return task, example, pass_number
