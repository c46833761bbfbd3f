"""From a recipe's tasks to examples to train on and examples to validate on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openmmb.data.draw import uniform
from openmmb.data.example import Example
from openmmb.data.loader import with_following
from openmmb.errors import DataError
from openmmb.tasks import open_task
from openmmb.training.replies.config import TaskConfig


@dataclass(frozen=True)
class TaskExamples:
    """One data set, read.

    Attributes:
        config: How it was read.
        train: To learn from.
        valid: To measure on; never learnt from.
    """

    config: TaskConfig
    train: Sequence[Example]
    valid: Sequence[Example]


def read_task(config: TaskConfig, root: Path) -> TaskExamples:
    """Read a data set.

    Raises:
        ConfigError: There is no such task.
        DataError: Its files are missing or malformed, or have no examples to learn from.
    """
    task = open_task(config.name, root, both_sides=config.both_sides)
    examples = list(task.examples(config.split))
    kept = [e for e in examples if held_out(e, config.holdout)]
    return TaskExamples(
        config=config,
        train=_train_part(config, examples),
        valid=kept if config.holdout else list(task.examples("valid")),
    )


def read_train(config: TaskConfig, root: Path) -> list[Example]:
    """Read only what a data set has to learn from.

    Raises:
        ConfigError: There is no such task.
        DataError: Its files are missing or malformed, or have no examples to learn from.
    """
    task = open_task(config.name, root, both_sides=config.both_sides)
    return _train_part(config, task.examples(config.split))


def held_out(example: Example, share: float) -> bool:
    """Say whether an example's conversation is kept for validation; the same in every run."""
    return uniform("holdout", example.task, example.conversation) < share


def some(examples: Sequence[Example], count: int) -> list[Example]:
    """Return ``count`` examples spread evenly over all of them."""
    if len(examples) <= count:
        return list(examples)
    return [examples[place * len(examples) // count] for place in range(count)]


def _train_part(config: TaskConfig, examples: Iterable[Example]) -> list[Example]:
    train = [example for example in examples if not held_out(example, config.holdout)]
    if not train:
        raise DataError(f"task {config.name}: no examples to learn from in split {config.split!r}")
    return list(with_following(train)) if config.write_on else train
