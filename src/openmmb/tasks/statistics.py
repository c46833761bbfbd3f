"""Numbers of a mixture: how much of what there is, how long it is, which controls it carries."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openmmb.data.batcher import Batcher
from openmmb.data.controls import NEGATIVE, POSITIVE
from openmmb.data.draw import take_evenly
from openmmb.data.example import Example, one_caption
from openmmb.text.table import table

PERCENTILES = (50, 90, 99, 100)
"""Percentiles of lengths that are shown; 100 is the longest."""


@dataclass(frozen=True)
class Lengths:
    """How many tokens something has.

    Attributes:
        mean: On average.
        percentiles: At ``PERCENTILES``.
        full: Share that is as long as may be, so that most of it was cut.
    """

    mean: float
    percentiles: tuple[int, ...]
    full: float


@dataclass(frozen=True)
class TaskStatistics:
    """The numbers of one data set, with the controls of the first epoch.

    Attributes:
        examples: How many there are.
        measured: How many of them, evenly spread, the rest was taken from.
        pictures: How many different pictures all of them are about.
        with_picture: Share about a picture.
        context: Tokens before a reply.
        reply: Tokens that are learnt.
        controls: Share of each control: gender tokens, ``positive/neutral``, ``negative``,
            ``trait`` for any other style, ``persona``.
    """

    examples: int
    measured: int
    pictures: int
    with_picture: float
    context: Lengths
    reply: Lengths
    controls: Mapping[str, float]


def measure(examples: Sequence[Example], batcher: Batcher, *, max_examples: int) -> TaskStatistics:
    """Count one data set.

    Args:
        examples: At least one.
        batcher: Adds their controls and turns them into tokens.
        max_examples: Most that are turned into tokens; more are looked at in part.
    """
    measured = take_evenly(examples, max_examples)
    count = len(measured)
    contexts, replies = np.zeros(count, np.int64), np.zeros(count, np.int64)
    controls: Counter[str] = Counter()
    with_picture = 0
    for index, plain in enumerate(measured):
        example = batcher.controls.apply(one_caption(plain, 0), 0)
        encoded = batcher.encode(example)
        contexts[index], replies[index] = len(encoded.context), len(encoded.reply)
        controls.update(_controls_of(example))
        with_picture += example.image_id is not None
    return TaskStatistics(
        examples=len(examples),
        measured=count,
        pictures=len({e.image_id for e in examples if e.image_id is not None}),
        with_picture=with_picture / count,
        context=_lengths(contexts, batcher.config.max_context),
        reply=_lengths(replies, batcher.config.max_reply),
        controls={name: number / count for name, number in controls.items()},
    )


@dataclass(frozen=True)
class DrawnTask:
    """One data set of a mixture.

    Attributes:
        name: Name of the data set.
        weight: How many times an epoch goes through it.
        statistics: Its numbers.
    """

    name: str
    weight: float
    statistics: TaskStatistics

    @property
    def drawn(self) -> int:
        """Examples that an epoch draws from it."""
        return round(self.weight * self.statistics.examples)


def describe(tasks: Sequence[DrawnTask], batch_size: int) -> list[str]:
    """Write a mixture down as lines: a table of its data sets, then what an epoch has.

    The share of a data set or a control is of the examples that training draws.
    """
    of = "/".join("max" if p == 100 else f"{p} %" for p in PERCENTILES)
    heads = (f"context tokens: mean, {of}", "full", f"reply tokens: mean, {of}", "cut")
    rows: list[tuple[str, ...]] = [("task", "examples", "weight", "drawn", "pictures", *heads)]
    drawn = sum(task.drawn for task in tasks)
    for task in tasks:
        numbers = task.statistics
        rows.append(
            (
                task.name,
                f"{numbers.examples:,}",
                f"{task.weight:g}",
                f"{task.drawn / max(1, drawn):.1%}",
                f"{numbers.pictures:,}" if numbers.pictures else "-",
                *_cells(numbers.context),
                *_cells(numbers.reply),
            )
        )
    lines = [*table(rows), _epoch(tasks, drawn, batch_size)]
    if any(task.statistics.measured < task.statistics.examples for task in tasks):
        most = max(task.statistics.measured for task in tasks)
        lines.append(f"lengths and controls are those of at most {most:,} examples of each task")
    names = {name for task in tasks for name in task.statistics.controls}

    def share(name: str) -> float:
        return _mean(tasks, lambda numbers: numbers.controls.get(name, 0.0))

    controls = ", ".join(f"{name} {share(name):.1%}" for name in sorted(names))
    return [*lines, f"controls: {controls or 'none'}"]


def _epoch(tasks: Sequence[DrawnTask], drawn: int, batch_size: int) -> str:
    context = drawn * _mean(tasks, lambda numbers: numbers.context.mean)
    reply = drawn * _mean(tasks, lambda numbers: numbers.reply.mean)
    return (
        f"an epoch: {drawn:,} examples in {drawn // batch_size:,} batches of {batch_size}; about "
        f"{context:,.0f} tokens of context and {reply:,.0f} of replies; "
        f"{_mean(tasks, lambda numbers: numbers.with_picture):.1%} about a picture"
    )


def _mean(tasks: Sequence[DrawnTask], number: Callable[[TaskStatistics], float]) -> float:
    """Return the mean of a number over the examples that are drawn."""
    drawn = sum(task.drawn for task in tasks)
    return sum(task.drawn * number(task.statistics) for task in tasks) / max(1, drawn)


def _cells(lengths: Lengths) -> tuple[str, str]:
    at = " / ".join(map(str, lengths.percentiles))
    return f"{lengths.mean:.1f}, {at}", f"{lengths.full:.1%}"


def _controls_of(example: Example) -> list[str]:
    controls = ["persona"] if example.persona else []
    if example.gender is not None:
        controls.append(example.gender)
    if example.style is not None:
        controls.append(example.style if example.style in (POSITIVE, NEGATIVE) else "trait")
    return controls


def _lengths(numbers: npt.NDArray[np.int64], limit: int) -> Lengths:
    percentiles = np.percentile(numbers, PERCENTILES, method="lower")
    return Lengths(
        mean=float(numbers.mean()),
        percentiles=tuple(int(number) for number in percentiles),
        full=float((numbers >= limit).mean()),
    )
