"""Requests that wait together share a search, and none harms another."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from openmmb.chat.bot import Bot
from openmmb.chat.request import Reply, Request
from openmmb.search.config import SearchConfig
from openmmb.serve.batcher import Batcher

WIDE = SearchConfig(method="beam", beam_size=4, min_length=1, max_length=8)
NARROW = SearchConfig(method="greedy", min_length=0, max_length=8)
DRAWN = SearchConfig(method="topk", top_k=20, beam_size=1, min_length=4, max_length=12)


class Gated:
    """Answers as a bot does, but each time only when it is let; remembers what came together."""

    def __init__(self, bot: Bot) -> None:
        self.bot, self.batches = bot, list[list[str]]()
        self.asked, self.let = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        self.batches.append([request.text for request in requests])
        self.asked.release()
        self.let.acquire()
        if any("poison" in request.text for request in requests):
            raise ArithmeticError("no such number")
        return self.bot.reply_many(requests)

    async def begun(self) -> None:
        """Wait until it is asked something."""
        await asyncio.to_thread(self.asked.acquire)

    def go(self, times: int = 100) -> None:
        self.let.release(times)


@contextmanager
def batching(answer: Callable[[Sequence[Request]], list[Reply]], **more: Any) -> Iterator[Batcher]:
    batcher = Batcher(
        answer, max_rows=8, rows=lambda r: r.search.num_beams if r.search else 1, **more
    )
    try:
        yield batcher
    finally:
        batcher.close()


def ask(text: str, search: SearchConfig = NARROW) -> Request:
    return Request(text, search=search)


def test_what_waits_while_a_search_runs_is_answered_by_the_next(bot: Bot) -> None:
    async def run() -> None:
        answer, sizes = Gated(bot), list[int]()
        with batching(answer, on_batch=sizes.append) as batcher:
            first = asyncio.ensure_future(batcher.reply(ask("Hello.")))
            await answer.begun()
            rest = [asyncio.ensure_future(batcher.reply(ask(f"I am {n}."))) for n in range(5)]
            await asyncio.sleep(0)
            assert len(batcher) == 5
            answer.go()
            replies = [reply.text for reply in await asyncio.gather(first, *rest)]
        assert answer.batches == [["Hello."], [f"I am {n}." for n in range(5)]]
        assert sizes == [1, 5]
        alone = [bot.reply_many([ask(text)])[0].text for batch in answer.batches for text in batch]
        assert replies == alone

    asyncio.run(run())


def test_a_search_has_no_more_rows_than_allowed_and_one_kind_of_search(bot: Bot) -> None:
    async def run() -> None:
        answer = Gated(bot)
        with batching(answer) as batcher:
            waiting = [asyncio.ensure_future(batcher.reply(ask("Hello.")))]
            await answer.begun()
            for text, search in [
                ("a", WIDE), ("b", NARROW), ("c", WIDE), ("d", WIDE), ("e", NARROW)
            ]:  # fmt: skip
                waiting.append(asyncio.ensure_future(batcher.reply(ask(text, search))))
            await asyncio.sleep(0)
            answer.go()
            await asyncio.gather(*waiting)
        assert answer.batches == [["Hello."], ["a", "c"], ["b", "e"], ["d"]]

    asyncio.run(run())


def test_what_is_given_up_leaves_the_queue(bot: Bot) -> None:
    async def run() -> None:
        answer = Gated(bot)
        with batching(answer) as batcher:
            running = asyncio.ensure_future(batcher.reply(ask("Hello.")))
            await answer.begun()
            given_up = asyncio.ensure_future(batcher.reply(ask("Never mind.")))
            stays = asyncio.ensure_future(batcher.reply(ask("I stay.")))
            await asyncio.sleep(0)
            given_up.cancel()
            running.cancel()  # its search goes on, for nobody
            with pytest.raises(asyncio.CancelledError):
                await given_up
            assert len(batcher) == 1
            answer.go()
            assert (await stays).text
            with pytest.raises(asyncio.CancelledError):
                await running
        assert answer.batches == [["Hello."], ["I stay."]]

    asyncio.run(run())


def test_a_request_that_fails_harms_no_other(bot: Bot) -> None:
    async def run() -> None:
        answer = Gated(bot)
        answer.go()
        with batching(answer) as batcher:
            texts = ["One.", "poison", "Two.", "Three."]
            replies = await asyncio.gather(
                *(batcher.reply(ask(text)) for text in texts), return_exceptions=True
            )
            again = await batcher.reply(ask("Are you still there?"))
        assert isinstance(replies[1], ArithmeticError)
        for text, reply in zip(texts, replies, strict=True):
            if text != "poison":
                assert isinstance(reply, Reply)
        assert again.text

    asyncio.run(run())


def test_it_ends_when_all_is_answered(bot: Bot) -> None:
    async def run() -> list[str]:
        answer = Gated(bot)
        batcher = Batcher(answer, max_rows=1, rows=lambda _: 1)
        waiting = [asyncio.ensure_future(batcher.reply(ask(f"{n}"))) for n in range(3)]
        await answer.begun()
        answer.go()
        await asyncio.to_thread(batcher.close)
        with pytest.raises(RuntimeError, match="closed"):
            await batcher.reply(ask("Too late."))
        return [reply.text for reply in await asyncio.gather(*waiting)]

    assert all(asyncio.run(run()))


def test_a_seed_gives_the_same_reply_in_any_company(bot: Bot) -> None:
    requests = [Request("What do you like?", search=DRAWN, seed=seed) for seed in range(6)]
    alone = [bot.reply_many([request])[0].text for request in requests]
    assert len(set(alone)) > 1

    async def run() -> list[str]:
        with batching(bot.reply_many) as batcher:
            replies = await asyncio.gather(*(batcher.reply(request) for request in requests))
            return [reply.text for reply in replies]

    assert asyncio.run(run()) == alone
