"""Requests that wait together are answered by one search.

One thread runs the model. While it searches, others wait; when it is done it takes the request that
has waited longest, and with it all that want the same search, as many as fit. So nobody waits for
company, and under load there is company.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from openmmb.chat.request import Reply, Request

Answer = Callable[[Sequence[Request]], list[Reply]]


@dataclass(eq=False, slots=True)
class Job:
    """A request that waits, and where its reply goes."""

    request: Request
    rows: int
    future: "Future[Reply]" = field(default_factory=Future)


class Batcher:
    """Answers requests of any number of tasks with one model.

    Args:
        answer: Answers requests together, each as if it came alone.
        max_rows: Most hypotheses that one search grows side by side.
        rows: How many a request takes.
        on_batch: Told how many requests each search answers.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        max_rows: int,
        rows: Callable[[Request], int],
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._answer, self._max_rows, self._rows = answer, max_rows, rows
        self._on_batch = on_batch
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="openmmb-batcher", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Return how many requests wait."""
        return len(self._waiting)

    async def reply(self, request: Request) -> Reply:
        """Wait for the reply to a request; a task that is cancelled takes its request away.

        Raises:
            RuntimeError: The batcher is closed.
        """
        job = Job(request, self._rows(request))
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._waiting.append(job)
            self._changed.notify()
        try:
            return await asyncio.wrap_future(job.future)
        finally:
            if not job.future.done() or job.future.cancelled():
                with self._changed:
                    if job in self._waiting:
                        self._waiting.remove(job)

    def close(self) -> None:
        """Answer what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._take():
            self._on_batch(len(batch))
            self._settle(batch)

    def _take(self) -> list[Job]:
        """Wait for requests; return what is answered next, nothing at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return []
                batch, rest, rows = list[Job](), deque[Job](), 0
                for job in self._waiting:
                    first = batch[0] if batch else job
                    fits = not batch or rows + job.rows <= self._max_rows
                    if fits and job.request.search == first.request.search:
                        batch.append(job)
                        rows += job.rows
                    else:
                        rest.append(job)
                self._waiting = rest
                batch = [job for job in batch if job.future.set_running_or_notify_cancel()]
                if batch:
                    return batch

    def _settle(self, batch: Sequence[Job]) -> None:
        """Answer requests together; if that fails, one by one, so that one harms no other."""
        try:
            replies = self._answer([job.request for job in batch])
        except BaseException as error:  # the thread must go on, whatever it was
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for job in batch:
                self._settle([job])
            return
        for job, reply in zip(batch, replies, strict=True):
            job.future.set_result(reply)
