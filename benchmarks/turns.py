"""Processes that take turns at the same work, so that a busy moment meets all of them.

Whatever the machine does meanwhile, it ends: each answer has a time limit, a sample that others
disturbed is taken again a few times and then kept and marked, and an engine that cannot be had is
left out with the reason.
"""

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

WAITS, COMPUTES = 0.05, 0.85
"""A sample is clean where threads that were ready waited for less than this share of it, and the
process computed for more than that one."""
AGAIN = 2
"""How often a disturbed sample is taken again."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn.

    Attributes:
        seconds: By the clock.
        cpu: Processor time of all threads.
        waited: How long threads were ready and had no core.
    """

    seconds: float
    cpu: float
    waited: float

    @property
    def clean(self) -> bool:
        """Whether nobody else's work was measured with it."""
        return self.waited < WAITS * self.seconds and self.cpu > COMPUTES * self.seconds


@dataclass
class Engine:
    """A process that works when it is told to.

    Attributes:
        name: Which one.
        process: The process.
        errors: What it wrote to standard error.
        limit: Most seconds for an answer.
        samples: Of each turn so far.
        tokens: What it answered last.
        peak: Most memory that it has had, GB.
        lost: Why it is out; empty: it is not.
    """

    name: str
    process: subprocess.Popen[bytes]
    errors: Path
    limit: int
    samples: list[Sample] = field(default_factory=list)
    tokens: list[list[int]] = field(default_factory=list)
    peak: float = 0.0
    lost: str = ""

    def turn(self, steps: int) -> Sample | None:
        """Let it work once and wait for it; None: it is out."""
        if self.lost:
            return None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended; why is asked below
            self.process.stdin.write(f"{steps}\n".encode())
        # Second by second: if this process is held up, the engine has most likely been, too.
        ready = any(select.select([self.process.stdout], [], [], 1)[0] for _ in range(self.limit))
        if not ready:
            self._give_up(f"no answer in {self.limit} s")
            return None
        line = self.process.stdout.readline()
        if not line:
            lines = self.errors.read_text(encoding="utf-8").strip().splitlines() or ["no message"]
            self._give_up(f"ended with code {self.process.wait()}: {lines[-1]}")
            return None
        answer: dict[str, Any] = json.loads(line)
        self.tokens, self.peak = answer["tokens"], answer["peak"]
        return Sample(answer["seconds"], answer["cpu"], answer["waited"])

    def measure(self, steps: int, deadline: float) -> None:
        """Take a sample; a disturbed one again while there is time, and then the least so."""
        best = None
        for _ in range(1 + AGAIN):
            started = time.monotonic()
            sample = self.turn(steps)
            if sample is None:
                break
            if best is None or sample.waited < best.waited or sample.clean:
                best = sample
            now = time.monotonic()
            if sample.clean or now + (now - started) > deadline:
                break
        if best is not None:
            self.samples.append(best)

    @property
    def num_clean(self) -> int:
        """How many samples nothing disturbed."""
        return sum(sample.clean for sample in self.samples)

    @property
    def seconds(self) -> float:
        """Median of the clean samples; where there are none, of all."""
        clean = [sample.seconds for sample in self.samples if sample.clean]
        return median(clean or [sample.seconds for sample in self.samples])

    def _give_up(self, why: str) -> None:
        self.lost = why
        self.process.kill()


@contextmanager
def started(
    name: str, command: Sequence[str], folder: Path, *, limit: int, settings: dict[str, str]
) -> Iterator[Engine]:
    """Start an engine's process, and end it afterwards."""
    errors = folder / f"{name}.err"
    with (
        errors.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=os.environ | settings,
            bufsize=0,
        ) as process,
    ):
        try:
            yield Engine(name, process, errors, limit)
        finally:
            process.kill()


def waited() -> float:
    """Return the seconds that threads of this process were ready and had no core; Linux only."""
    total = 0
    for task in Path("/proc/self/task").glob("*/schedstat"):
        try:
            total += int(task.read_text(encoding="ascii").split()[1])
        except OSError:  # the thread has ended meanwhile
            continue
    return total / 1e9


def take_turns(engines: Sequence[Engine], steps: int, *, rounds: int, seconds: float) -> None:
    """Measure every engine ``rounds`` times, in turns, or as often as ``seconds`` allow."""
    deadline = time.monotonic() + seconds
    longest = 0.0
    for done in range(rounds):
        began = time.monotonic()
        if done and began + longest > deadline:
            return
        for engine in engines:
            engine.measure(steps, deadline)
        longest = max(longest, time.monotonic() - began)
