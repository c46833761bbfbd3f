"""What requests could gain by joining a search that is already under way, from measured parts.

python benchmarks/joining.py [--checkpoint small] [--replies 32] [--clients 8 16]

Measured: how many steps the search for each reply takes; and what reading, a step and all the rest
cost where 1, 2, 4 ... requests are answered together. From these it computes the replies a second
of clients who ask again as soon as they are answered, where

- ``today``: requests that wait are answered by one search, and leave it together;
- ``leaving``: the same, but a step costs what those cost who still search;
- ``joining``: besides, who waits joins when so many slots are free as is best: each join pays for
  reading and for the guard, and for few requests they cost more. Neither the work on the slots of a
  cache nor the padding among unlike contexts is counted, so less than this can be had.
"""

import argparse
import random
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import openmmb
from openmmb.chat.batcher import MAX_ROWS
from openmmb.engine import generate

SAYINGS = Path(__file__).with_name("reading.toml")
SIZES = (1, 2, 4, 8, 16)
REPLIES = 4000
"""Replies that are simulated."""


@dataclass(slots=True)
class Seconds:
    """What answering requests together costs.

    Attributes:
        rest: The guard, encoding, sorting: all but reading and the search.
        read: Reading the contexts.
        step: A step of the search.
    """

    rest: float
    read: float
    step: float


@dataclass
class Watch:
    """Times the parts of a search."""

    read: float = 0.0
    search: float = 0.0
    steps: int = 0
    lengths: list[int] = field(default_factory=list)

    @contextmanager
    def on(self, engine: Any) -> Iterator[None]:
        """Time what an engine does meanwhile."""
        read, search, stepper = engine.read, generate.search, engine.stepper

        def timed_read(*args: Any) -> Any:
            started = time.perf_counter()
            try:
                return read(*args)
            finally:
                self.read += time.perf_counter() - started

        def counted(memory: Any, *, num_beams: int, max_tokens: int) -> Any:
            step = stepper(memory, num_beams=num_beams, max_tokens=max_tokens)

            def one(*args: Any) -> Any:
                self.steps += 1
                return step(*args)

            return one

        def timed_search(*args: Any, **rest: Any) -> Any:
            started = time.perf_counter()
            try:
                return search(*args, **rest)
            finally:
                self.search += time.perf_counter() - started

        with (
            patch.object(engine, "read", timed_read),
            patch.object(engine, "stepper", counted),
            patch.object(generate, "search", timed_search),
        ):
            yield


def measure(
    bot: openmmb.Bot, texts: Sequence[str], rounds: int
) -> tuple[list[int], dict[int, Seconds]]:
    """Return the steps of each reply, and costs by the number of requests answered together.

    Each cost is the least of ``rounds`` averages over all texts.
    """
    lengths = []
    for text in texts:
        watch = Watch()
        with watch.on(bot.engine):
            bot.reply(text)
        if watch.steps:
            lengths.append(watch.steps)
    most = min(MAX_ROWS // bot.search.num_beams, len(texts))
    sizes = [size for size in SIZES if size <= most]
    each = [{size: _of(_cost(bot, texts, size)) for size in sizes} for _ in range(rounds)]
    return lengths, {
        size: Seconds(*map(min, zip(*(one[size] for one in each), strict=True))) for size in sizes
    }


def _cost(bot: openmmb.Bot, texts: Sequence[str], size: int) -> Seconds:
    """Answer all texts, so many together, and return what that costs on average."""
    watch, started, count = Watch(), time.perf_counter(), len(texts) // size
    with watch.on(bot.engine):
        for first in range(0, count * size, size):
            bot.reply_many([openmmb.Request(text) for text in texts[first : first + size]])
    rest = time.perf_counter() - started - watch.read - watch.search
    return Seconds(rest / count, watch.read / count, watch.search / watch.steps)


def at(costs: dict[int, Seconds], size: int) -> Seconds:
    """Return the costs for any number of requests, from those beside it that were measured."""
    if size in costs:
        return costs[size]
    low, high = next((a, b) for a, b in pairwise(costs) if a < size < b)
    share = (size - low) / (high - low)
    one, two = costs[low], costs[high]
    return Seconds(*(a + share * (b - a) for a, b in zip(_of(one), _of(two), strict=True)))


def _of(cost: Seconds) -> tuple[float, float, float]:
    return cost.rest, cost.read, cost.step


def together(
    lengths: Sequence[int], costs: dict[int, Seconds], clients: int, *, leaving: bool
) -> float:
    """Return the replies a second where those that wait are answered by one search."""
    size, clock, chance = min(clients, max(costs)), 0.0, random.Random(0)
    cost = at(costs, size)
    for _ in range(REPLIES // size):
        steps = sorted(chance.choices(lengths, k=size))
        clock += cost.rest + cost.read
        if leaving:
            for done, (before, after) in enumerate(pairwise([0, *steps])):
                clock += (after - before) * at(costs, size - done).step
        else:
            clock += steps[-1] * cost.step
    return REPLIES // size * size / clock


def joining(lengths: Sequence[int], costs: dict[int, Seconds], clients: int, free: int) -> float:
    """Return the replies a second where who waits joins when so many slots are free."""
    slots, clock, count, chance = min(clients, max(costs)), 0.0, 0, random.Random(0)
    left = chance.choices(lengths, k=slots)
    while count < REPLIES:
        ahead = min(left)
        clock += ahead * at(costs, len(left)).step
        left = [steps - ahead for steps in left if steps > ahead]
        done = slots - len(left)
        if done >= free:
            cost = at(costs, done)
            clock += cost.rest + cost.read
            count += done
            left += chance.choices(lengths, k=done)
    return count / clock


def main() -> None:
    """Measure, compute, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkpoint", default="small")
    parser.add_argument("--replies", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[8, 16])
    options = parser.parse_args()
    texts = tomllib.loads(SAYINGS.read_text(encoding="utf-8"))["sense"][: options.replies]
    bot = openmmb.load(options.checkpoint)
    bot.reply(texts[0])
    lengths, costs = measure(bot, texts, options.rounds)
    mean, most = sum(lengths) / len(lengths), max(lengths)
    print(f"{len(lengths)} replies, steps: {mean:.1f} on average, {min(lengths)} to {most}\n")
    print("| together | the rest ms | reading ms | a step ms |\n|---:|---:|---:|---:|")
    for size, cost in costs.items():
        print(f"| {size} | {' | '.join(f'{1000 * one:.1f}' for one in _of(cost))} |")
    print("\n| clients | today | leaving | joining | at free slots | gain |")
    print("|---:|---:|---:|---:|---:|---:|")
    for clients in options.clients:
        today = together(lengths, costs, clients, leaving=False)
        leaving = together(lengths, costs, clients, leaving=True)
        slots = range(1, min(clients, max(costs)) + 1)
        best, free = max((joining(lengths, costs, clients, free), free) for free in slots)
        rates = f"{today:.1f} | {leaving:.1f} | {best:.1f}"
        print(f"| {clients} | {rates} | {free} | {best / today:.2f} |")


if __name__ == "__main__":
    main()
