"""The data sets that a model learns from or is measured on: how each is read, and its examples."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openmmb.config import config, require
from openmmb.data.draw import uniform
from openmmb.data.example import Example, Split, with_following
from openmmb.errors import DataError
from openmmb.tasks import open_task


@config
class TaskConfig:
    """One data set of the mixture."""

    name: str
    """Name of the data set; `openmmb data list` lists them."""
    weight: float = 1.0
    """How many times an epoch goes through the data set."""
    split: Split = "train"
    """Published split to learn from."""
    holdout: float = 0.0
    """Share of that split's conversations that is kept for validation, for data sets whose valid
    split is not at hand. 0: validate on the published ``valid`` split."""
    both_sides: bool = False
    """Learn the replies of both speakers, where the original learns one speaker's."""
    write_on: bool = False
    """Continue each reply to the end of its conversation, to learn more from one context."""

    def __post_init__(self) -> None:
        require("weight", self.weight, "above 0", holds=0 < self.weight < math.inf)
        require("holdout", self.holdout, "at least 0 and below 1", holds=0 <= self.holdout < 1)


@dataclass(frozen=True)
class TaskExamples:
    """The examples of one data set.

    Attributes:
        config: How they were read.
        train: To learn from.
        valid: To measure on; never learnt from.
    """

    config: TaskConfig
    train: Sequence[Example]
    valid: Sequence[Example]


def read_task(config: TaskConfig, root: Path) -> TaskExamples:
    """Read the examples of a data set.

    Raises:
        ConfigError: There is no such data set.
        DataError: Its files are missing or malformed, or have no examples to learn from.
    """
    task = open_task(config.name, root, both_sides=config.both_sides)
    examples = list(task.examples(config.split))
    kept = [example for example in examples if held_out(example, config.holdout)]
    return TaskExamples(
        config=config,
        train=_without_holdout(config, examples),
        valid=kept if config.holdout else list(task.examples("valid")),
    )


def read_train(config: TaskConfig, root: Path) -> list[Example]:
    """Read only what a data set has to learn from.

    Raises:
        ConfigError: There is no such data set.
        DataError: Its files are missing or malformed, or have no examples to learn from.
    """
    task = open_task(config.name, root, both_sides=config.both_sides)
    return _without_holdout(config, task.examples(config.split))


def read_valid(config: TaskConfig, root: Path) -> Iterator[Example]:
    """Read only what a data set keeps for validation.

    Raises:
        ConfigError: There is no such data set.
        DataError: Its files are missing or malformed.
    """
    task = open_task(config.name, root, both_sides=config.both_sides)
    if not config.holdout:
        return task.examples("valid")
    return (e for e in task.examples(config.split) if held_out(e, config.holdout))


def held_out(example: Example, share: float) -> bool:
    """Say whether an example's conversation is kept for validation; the same in every run."""
    return uniform("holdout", example.task, example.conversation) < share


def _without_holdout(config: TaskConfig, examples: Iterable[Example]) -> list[Example]:
    train = [example for example in examples if not held_out(example, config.holdout)]
    if not train:
        raise DataError(f"task {config.name}: no examples to learn from in split {config.split!r}")
    return list(with_following(train)) if config.write_on else train
