"""Replies as server-sent events, and work that ends when its client leaves.

A reply is shown when the guard has judged it whole, so a stream says that it is alive, and then has
all of the reply.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from openmmb.serve.completions import PING, Completion, as_event
from openmmb.serve.failures import RequestFailure, as_failure
from openmmb.serve.service import Answered

T = TypeVar("T")


class EventStream(StreamingResponse):
    """The events of a reply; when it ends, so does what was begun for it.

    Args:
        completion: Writes the events.
        task: Answers.
        ping_every: Seconds between signs of life.
    """

    media_type = "text/event-stream"

    def __init__(
        self, completion: Completion, task: "asyncio.Task[Answered]", *, ping_every: float
    ) -> None:
        headers = {"x-accel-buffering": "no"}  # a proxy must not keep signs of life back
        super().__init__(_events(completion, task, ping_every), headers=headers)
        self._task = task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events, for as long as there is somebody to read them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._task.cancel()


async def _events(
    completion: Completion, task: "asyncio.Task[Answered]", ping_every: float
) -> AsyncIterator[str]:
    yield completion.opening()
    while not (await asyncio.wait({task}, timeout=ping_every))[0]:
        yield PING
    try:
        answered = task.result()
    except Exception as error:  # the status is sent: all that can still be told is an event
        yield as_event(as_failure(error).body())
        return
    for event in completion.rest(answered):
        yield event


async def unless_gone(request: Request, task: "asyncio.Task[T]") -> T:
    """Wait for a task; cancel it if the client leaves.

    Raises:
        RequestFailure: The client has left, so nobody reads this.
    """
    gone = asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise RequestFailure("the client left", status=499, code="client_left")
    finally:
        gone.cancel()
        task.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
