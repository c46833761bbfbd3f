"""From step numbers to batches, ready for the network."""

from collections.abc import Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt

from openmmb.data.batch import Batch, Shard
from openmmb.data.batcher import Batcher, Row
from openmmb.data.example import Example, one_caption
from openmmb.data.sampler import Sampler, Window


class Loader:
    """The batches of a training run, each a pure function of its step; safe in threads.

    A window of batches is tokenised as a whole, since which rows are padded together depends on the
    lengths of all. So that no batch takes much longer than another, each one made also tokenises a
    share of the next window. Pictures are looked up, and rows padded, by the batch.

    Args:
        tasks: The examples of each task.
        sampler: Which of them make which window.
        batcher: How they become batches.
    """

    def __init__(
        self, tasks: tuple[Sequence[Example], ...], sampler: Sampler, batcher: Batcher
    ) -> None:
        self.tasks = tasks
        self.sampler = sampler
        self.batcher = batcher
        self._lock = Lock()
        self._rows: dict[int, list[Row]] = {}
        self._batches: dict[int, list[npt.NDArray[np.int64]]] = {}

    def batch(self, step: int) -> Batch:
        """Return the batch of ``step``, counted from 0."""
        return self.shard(step, rank=0, world_size=1).rows

    def shard(self, step: int, *, rank: int, world_size: int) -> Shard[Batch]:
        """Return what process ``rank`` of ``world_size`` gets of the batch of ``step``."""
        window = self.sampler.window_of(step)
        index = step - window.start
        with self._lock:
            self._forget(window.number)
            rows = self._encode(window, 1.0)
            if window.number not in self._batches:
                self._batches[window.number] = self._divide(rows, window.number)
            own = self._batches[window.number][index]
            self._encode(self.sampler.window(window.number + 1), (index + 1) / window.size)
        return self.batcher.shard([rows[at] for at in own], rank=rank, world_size=world_size)

    def _encode(self, window: Window, share: float) -> list[Row]:
        """Return at least the first ``share`` of a window's rows; encode what is not there yet."""
        rows = self._rows.setdefault(window.number, [])
        count = round(share * window.size * self.sampler.batch_size)
        for task, index, epoch in self.sampler.draws(window)[len(rows) : count].tolist():
            example = self.tasks[task][index]
            if not self.batcher.learns_all_captions:
                example = one_caption(example, epoch)
            rows.append(self.batcher.row(example, epoch))
        return rows

    def _divide(self, rows: Sequence[Row], window: int) -> list[npt.NDArray[np.int64]]:
        """Make batches out of a window's rows, in random order."""
        groups = self.batcher.group(rows, self.sampler.batch_size)
        order = np.random.default_rng([self.sampler.seed, window, 1]).permutation(len(groups))
        return [groups[at] for at in order]

    def _forget(self, window: int) -> None:
        """Drop the windows that neither this one nor the next one is."""
        for kept in (self._rows, self._batches):
            for number in [number for number in kept if not window - 1 <= number <= window + 1]:
                del kept[number]
