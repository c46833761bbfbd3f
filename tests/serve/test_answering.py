"""Requests of tasks that wait together share a search, and none harms another."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from openmmb.chat.batcher import Batcher
from openmmb.chat.bot import Bot
from openmmb.chat.request import Reply, Request
from openmmb.safety.guard import Guard
from openmmb.safety.verdict import Verdict
from openmmb.search.config import SearchConfig
from openmmb.serve.answering import Answering

WIDE = SearchConfig(method="beam", beam_size=4, min_length=1, max_length=8)
NARROW = SearchConfig(method="greedy", min_length=0, max_length=8)


class Doorkeeper:
    """A check of the guard's that keeps each text until it is let; remembers all."""

    def __init__(self) -> None:
        self.texts = list[str]()
        self.asked, self.let = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, text: str, context: Sequence[str]) -> Verdict:
        if not context:
            self.texts.append(text)
            self.asked.release()
            self.let.acquire()
            if text == "poison":
                raise ArithmeticError("no such number")
        return Verdict(safe=True, check="doorkeeper")

    async def begun(self) -> None:
        """Wait until it is asked something."""
        await asyncio.to_thread(self.asked.acquire)


@pytest.fixture
def keeper() -> Doorkeeper:
    return Doorkeeper()


@pytest.fixture
def sizes() -> list[int]:
    """How many each search answered."""
    return []


@contextmanager
def answering(bot: Bot, keeper: Doorkeeper, sizes: list[int]) -> Iterator[Answering]:
    mine = Bot(bot.engine, guard=Guard((keeper,)), search=NARROW)
    served = Answering(mine, Batcher(8, on_batch=sizes.append))
    try:
        yield served
    finally:
        keeper.let.release(1000)
        served.close()


def test_what_waits_while_a_search_runs_is_answered_by_the_next(
    bot: Bot, keeper: Doorkeeper, sizes: list[int]
) -> None:
    async def run() -> list[str]:
        with answering(bot, keeper, sizes) as served:
            first = asyncio.ensure_future(served.reply(Request("Hello.")))
            await keeper.begun()
            rest = [asyncio.ensure_future(served.reply(Request(f"I am {n}."))) for n in range(5)]
            wide = asyncio.ensure_future(served.reply(Request("And I?", search=WIDE)))
            await asyncio.sleep(0)
            assert len(served) == 6
            keeper.let.release(1000)
            return [reply.text for reply in await asyncio.gather(first, *rest, wide)]

    replies = asyncio.run(run())
    assert sizes == [1, 5, 1]
    alone = Bot(bot.engine, guard=Guard(()), search=NARROW)
    texts = ["Hello.", *(f"I am {n}." for n in range(5))]
    expected = [alone.reply(text).text for text in texts]
    assert replies == [*expected, alone.reply_many([Request("And I?", search=WIDE)])[0].text]


def test_what_is_given_up_leaves_the_queue(bot: Bot, keeper: Doorkeeper, sizes: list[int]) -> None:
    async def run() -> None:
        with answering(bot, keeper, sizes) as served:
            running = asyncio.ensure_future(served.reply(Request("Hello.")))
            await keeper.begun()
            given_up = asyncio.ensure_future(served.reply(Request("Never mind.")))
            stays = asyncio.ensure_future(served.reply(Request("I stay.")))
            await asyncio.sleep(0)
            given_up.cancel()
            running.cancel()  # its search goes on, for nobody
            with pytest.raises(asyncio.CancelledError):
                await given_up
            assert len(served) == 1
            keeper.let.release(1000)
            assert (await stays).text
            with pytest.raises(asyncio.CancelledError):
                await running

    asyncio.run(run())
    assert keeper.texts == ["Hello.", "I stay."]
    assert sizes == [1, 1]


def test_a_request_that_fails_harms_no_other(
    bot: Bot, keeper: Doorkeeper, sizes: list[int]
) -> None:
    async def run() -> list[Reply | BaseException]:
        keeper.let.release(1000)
        with answering(bot, keeper, sizes) as served:
            texts = ["One.", "poison", "Two.", "Three."]
            return await asyncio.gather(
                *(served.reply(Request(text)) for text in texts), return_exceptions=True
            )

    one, poison, *others = asyncio.run(run())
    assert isinstance(poison, ArithmeticError)
    for reply in (one, *others):
        assert isinstance(reply, Reply)


def test_it_ends_when_all_is_answered(bot: Bot, keeper: Doorkeeper, sizes: list[int]) -> None:
    async def run() -> list[str]:
        with answering(bot, keeper, sizes) as served:
            waiting = [asyncio.ensure_future(served.reply(Request(f"{n}"))) for n in range(3)]
            await keeper.begun()
            keeper.let.release(1000)
            await asyncio.to_thread(served.close)
            with pytest.raises(RuntimeError, match="shutdown"):
                await served.reply(Request("Too late."))
            return [reply.text for reply in await asyncio.gather(*waiting)]

    assert all(asyncio.run(run()))
