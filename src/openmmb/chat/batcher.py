"""Callers that wait together are answered together.

There is no thread for it: a caller who comes while nobody is being answered answers at once, in its
own thread. Whoever comes meanwhile waits; then one of them answers for all that want the same kind
of answer, as many as fit, those who have waited longest first. So a caller alone waits for nobody,
and under load there is company.
"""

import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MAX_ROWS: Final = 80
"""Most hypotheses that one search grows side by side for callers that it answers together."""
PATIENCE: Final = 0.05
"""Share of the last answer's time for which the next waits for the callers of the last: those who
ask again at once come back within it, and without it they and the others would take turns."""


@dataclass(eq=False, slots=True)
class Job(Generic[T, R]):
    """What a caller asks, and what comes of it.

    Attributes:
        items: What is asked, answered together.
        answer: Answers items, each as if it came alone, and changes none of them.
        kind: Jobs of one kind can be answered together.
        rows: Hypotheses that it takes.
        queue: Where it waits.
        began: When it was asked.
        alone: Whether it is answered alone, since an answer to it and to others failed.
        woken: Set when there is something to do for its caller.
        results: One for each item, once there are any.
        error: Why there are none.
        over: Whether it waits no longer.
    """

    items: Sequence[T]
    answer: Callable[[Sequence[T]], list[R]]
    kind: Hashable
    rows: int
    queue: "Queue"
    began: float = field(default_factory=time.perf_counter)
    alone: bool = False
    woken: threading.Event = field(default_factory=threading.Event)
    results: list[R] | None = None
    error: Exception | None = None
    over: bool = False


@dataclass(eq=False, slots=True)
class Queue:
    """Who waits, in one process.

    Attributes:
        process: The process: a copy of it, made by a fork, has none of its threads.
        changed: Guards all of this; told when somebody comes or leaves.
        waiting: Who waits, the longest first.
        leader: Thread that answers now; None: nobody does.
        ended: When the last answer was there.
        seconds: How long it took.
        released: How many callers it was for.
    """

    process: int = field(default_factory=os.getpid)
    changed: threading.Condition = field(default_factory=threading.Condition)
    waiting: list[Job[Any, Any]] = field(default_factory=list)
    leader: int | None = None
    ended: float = 0.0
    seconds: float = 0.0
    released: int = 0

    def wake_next(self) -> None:
        """Let the caller who has waited longest answer, if nobody does."""
        if self.waiting and self.leader is None:
            self.waiting[0].woken.set()

    def gather(self, max_rows: int) -> None:
        """Where somebody waited for the last answer, let those whom it was for come back first."""
        if not self.waiting or self.waiting[0].began > self.ended:
            return

        def is_complete() -> bool:
            back = sum(job.began > self.ended for job in self.waiting)
            full = sum(job.rows for job in self.waiting) >= max_rows
            return full or back >= self.released or not self.waiting

        until = self.ended + PATIENCE * self.seconds
        self.changed.wait_for(is_complete, max(0.0, until - time.perf_counter()))

    def take(self, own: Job[Any, Any], max_rows: int) -> list[Job[Any, Any]]:
        """Return whose turn it is; a caller whose job failed in company answers it alone."""
        first = own if own.alone and own in self.waiting else next(iter(self.waiting), None)
        if first is None:  # all have left
            return []
        batch, rows = [first], first.rows
        for job in self.waiting:
            alike = job.kind == first.kind and not job.alone and not first.alone
            if job is not first and alike and rows + job.rows <= max_rows:
                batch.append(job)
                rows += job.rows
        self.waiting = [job for job in self.waiting if job not in batch]
        return batch

    def end(self, batch: Sequence[Job[Any, Any]], started: float) -> None:
        """Let others lead; jobs that were not answered wait again."""
        self.leader, self.ended = None, time.perf_counter()
        self.seconds, self.released = self.ended - started, len(batch)
        for job in reversed(batch):
            if job.results is not None or job.error is not None:
                job.over = True
            elif not job.over:
                self.waiting.insert(0, job)
            job.woken.set()
        self.wake_next()


class Batcher:
    """Lets one of several callers answer for all; any number of threads may come and go.

    Args:
        max_rows: Most hypotheses of callers that are answered together; one caller may take more.
        on_batch: Told how many items each answer is for.
    """

    def __init__(
        self, max_rows: int = MAX_ROWS, *, on_batch: Callable[[int], None] = lambda _: None
    ) -> None:
        self._max_rows, self._on_batch = max_rows, on_batch
        self._queue = Queue()

    def __len__(self) -> int:
        """Return how many items wait."""
        return sum(len(job.items) for job in list(self._queue.waiting))

    def ask(
        self,
        items: Sequence[T],
        answer: Callable[[Sequence[T]], list[R]],
        *,
        kind: Hashable,
        rows: int,
    ) -> list[R]:
        """Return the answers to items, which are answered together, and maybe with those of others.

        Args:
            items: What is asked.
            answer: Answers items, each as if it came alone, and changes none of them.
            kind: Callers of one kind can be answered together, whoever's ``answer`` does it.
            rows: How many hypotheses the items take.

        Raises:
            Exception: What answering these items raises, and no others.
        """
        if self._queue.leader == threading.get_ident():  # a check of a guard asks its own bot
            return answer(items)
        job = self.enter(items, answer, kind=kind, rows=rows)
        try:
            return self.wait(job)
        finally:
            self.leave(job)

    def enter(
        self,
        items: Sequence[T],
        answer: Callable[[Sequence[T]], list[R]],
        *,
        kind: Hashable,
        rows: int,
    ) -> Job[T, R]:
        """Let items wait, as ``ask`` does; ``wait`` gives their answers, ``leave`` must follow."""
        if self._queue.process != os.getpid():
            self._queue = Queue()
        queue = self._queue
        job = Job(items, answer, kind, rows, queue)
        with queue.changed:
            queue.waiting.append(job)
            queue.changed.notify_all()
        return job

    def wait(self, job: Job[T, R]) -> list[R]:
        """Wait for the answers to a job, or give them, and with them those to others.

        Raises:
            CancelledError: The job has left.
            Exception: What answering it raises.
        """
        queue = job.queue
        while not job.over:
            with queue.changed:
                job.woken.clear()
                leads = queue.leader is None and not job.over
                if leads:
                    queue.leader = threading.get_ident()
            if leads:
                self._lead(job)
            elif not job.over:
                job.woken.wait()
        if job.results is not None:
            return job.results
        error, job.error = job.error, None  # or it would hold the frame that holds it
        raise error or CancelledError

    def leave(self, job: Job[T, R]) -> None:
        """Wait no longer; what is being answered already is answered for nobody."""
        queue = job.queue
        with queue.changed:
            job.over = True
            if job in queue.waiting:
                queue.waiting.remove(job)
            job.woken.set()
            queue.changed.notify_all()
            queue.wake_next()

    def _lead(self, own: Job[T, R]) -> None:
        """Answer those who are next; then another caller may lead."""
        queue, batch, started = own.queue, list[Job[Any, Any]](), time.perf_counter()
        try:
            with queue.changed:
                queue.gather(self._max_rows)
                batch = queue.take(own, self._max_rows)
            started = time.perf_counter()
            self._settle(batch)
        finally:
            with queue.changed:
                queue.end(batch, started)

    def _settle(self, batch: Sequence[Job[Any, Any]]) -> None:
        """Answer jobs together; if that fails, each is to be answered alone, and harms no other.

        Raises:
            BaseException: This thread is to end; those jobs too wait for another.
        """
        if not batch:
            return
        items = [item for job in batch for item in job.items]
        self._on_batch(len(items))
        together, start = len(batch) > 1, 0
        for job in batch:
            job.alone = together
        try:
            results = batch[0].answer(items)
        except Exception as error:  # whoever waits is told, and the thread goes on
            if not together:
                batch[0].error = error
            return
        for job in batch:
            job.results = results[start : start + len(job.items)]
            start += len(job.items)
