"""What a run learns, as the protocol that ``training.run.loop`` works with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from torch import Tensor, nn

from openmmb.data.batch import Rows, Shard
from openmmb.training.run.log import Record

N = TypeVar("N", bound=nn.Module)
B = TypeVar("B", bound=Rows)


@dataclass(frozen=True)
class Scores:
    """What a validation measured.

    Attributes:
        score: The one number that decides which model is best; lower is better.
        numbers: For the log.
    """

    score: float
    numbers: Mapping[str, float]


class Objective(Protocol[N, B]):
    """What a run learns: a network, its batches, its loss and its validation.

    ``N`` is the network, which the loop builds, places and hands to every call that needs it. ``B``
    is a batch: a dataclass of tensors, each with the rows of the batch as its first size.
    """

    def build(self) -> N:
        """Build the network, on the CPU, or on the ``meta`` device where weights will be read.

        The loop calls this once, after it has started the processes that make batches, so that
        they hold nothing of the network.
        """
        ...

    def batches(self, step: int, *, rank: int, world_size: int) -> Sequence[Shard[B]]:
        """Return what process ``rank`` gets of the batches of update ``step``, from 0, on the CPU.

        Batches follow from the step alone. This may be called in another process.
        """
        ...

    def loss(self, model: N, batch: B) -> tuple[Tensor, int]:
        """Return the summed loss of a batch on the run's device, and the count it sums over."""
        ...

    def validate(self, model: N) -> Scores:
        """Measure the network; every process must come to the same scores."""
        ...

    def save(self, model: N, folder: Path) -> None:
        """Write a checkpoint, whole or not at all; every process calls it, the first writes.

        ``distributed.full_state_dict`` gathers weights that are sharded over processes.
        """
        ...

    def notes(self) -> Sequence[str]:
        """Return what people should know before the first update, a line each."""
        ...

    def sizes(self, model: N) -> Record:
        """Return numbers for the ``start`` record, among them ``steps_per_epoch``, in updates."""
        ...
