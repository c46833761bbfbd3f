"""What a run learns, and what decides how: what ``train.loop`` asks of its callers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from torch import Tensor, nn

from openmmb.checkpoint import Precision
from openmmb.data.batch import Shard
from openmmb.distributed import Rows
from openmmb.training.run.config import OptimConfig, ScheduleConfig, ValidConfig
from openmmb.training.run.log import Record

B = TypeVar("B", bound=Rows)


@dataclass(frozen=True)
class Scores:
    """What a validation has found.

    Attributes:
        score: The one number that decides which model is best; lower is better.
        numbers: For the log.
    """

    score: float
    numbers: Mapping[str, float]


class Objective(Protocol[B]):
    """What a run learns: a network, and what is asked of it.

    ``B`` is a dataclass of tensors, each with the rows of the batch as its first size.
    """

    @property
    def model(self) -> nn.Module:
        """The network, for ``train.placement.place``, which brings it to the run's device.

        The first to ask for it is the loop, when the processes that make batches, which have no
        use for it, have been started.
        """
        ...

    def batches(self, step: int) -> Sequence[B | Shard[B]]:
        """Return all batches of update ``step``, from 0, on the CPU; they follow from it alone.

        A batch is whole, or, where its rows are dear to make, already this process's part of it.
        """
        ...

    def loss(self, batch: B) -> tuple[Tensor, int]:
        """Return the summed loss of a batch on the run's device, and the count it sums over."""
        ...

    def validate(self) -> Scores:
        """Measure the network; every process must come to the same scores."""
        ...

    def save(self, folder: Path) -> None:
        """Write a checkpoint, whole or not at all; every process calls it, the first writes.

        What was dealt out over processes comes together by ``distributed.full_state_dict``.
        """
        ...

    def sizes(self) -> Record:
        """Return numbers for the ``start`` record, ``steps_per_epoch`` (updates) among them."""
        ...


class RunSettings(Protocol):
    """What a loop wants to know; ``train.config.Recipe`` says what each means."""

    @property
    def out(self) -> str: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def precision(self) -> Precision: ...  # noqa: D102
    @property
    def memory_efficient(self) -> bool: ...  # noqa: D102
    @property
    def activation_checkpointing(self) -> bool: ...  # noqa: D102
    @property
    def device(self) -> str: ...  # noqa: D102
    @property
    def save_every_steps(self) -> int: ...  # noqa: D102
    @property
    def optim(self) -> OptimConfig: ...  # noqa: D102
    @property
    def schedule(self) -> ScheduleConfig: ...  # noqa: D102
    @property
    def valid(self) -> ValidConfig: ...  # noqa: D102
