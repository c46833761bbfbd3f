"""Requests of tasks, answered by one thread, those that wait together at once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from openmmb.chat.batcher import Batcher
from openmmb.chat.bot import Bot
from openmmb.chat.request import Reply, Request


class Answering:
    """Answers the requests of any number of tasks.

    Args:
        bot: Answers.
        batcher: Says what is answered together.
    """

    def __init__(self, bot: Bot, batcher: Batcher) -> None:
        self._bot, self._batcher = bot, batcher
        self._thread = ThreadPoolExecutor(1, "openmmb-search")

    def __len__(self) -> int:
        """Return how many requests wait."""
        return len(self._batcher)

    async def reply(self, request: Request) -> Reply:
        """Wait for the reply to a request; a task that is cancelled takes its request away.

        Raises:
            RuntimeError: It is closed.
        """
        search = request.search or self._bot.search
        job = self._batcher.enter(
            [request], self._bot.reply_many, kind=search, rows=search.num_beams
        )
        try:
            waiting = self._thread.submit(self._batcher.wait, job)
            return (await asyncio.wrap_future(waiting))[0]
        finally:
            self._batcher.leave(job)

    def close(self) -> None:
        """Answer what waits, and end."""
        self._thread.shutdown()
