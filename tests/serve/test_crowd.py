"""Of many at once each gets its own: mixed, in an overload, beside clients that are killed."""

import asyncio
import multiprocessing
from typing import Any

import httpx
import pytest

from openmmb.chat.bot import Bot
from openmmb.chat.conversation import EMPTY
from openmmb.chat.request import Request
from openmmb.safety.guard import GuardConfig, open_guard
from openmmb.search.config import SearchConfig
from openmmb.serve.config import ServeConfig
from openmmb.serve.service import Hosted
from tests.build import plain_engine, tiny_checkpoint
from tests.serve.conftest import serving, wait_until_ready
from tests.serve.test_routes import ask, user

TERSE = SearchConfig(method="greedy", min_length=0, max_length=8)
CONVERSATIONS, CONNECTIONS, TURNS = 200, 32, 2


@pytest.fixture
def terse() -> Bot:
    """A bot that answers in milliseconds."""
    guard = open_guard(GuardConfig(classifier="none"))
    return Bot(plain_engine(tiny_checkpoint()), guard=guard, search=TERSE)


def line(conversation: int, turn: int) -> str:
    return f"I am {conversation} and I have {conversation % 7 + turn} dogs."


def test_conversations_over_few_connections_stay_apart(terse: Bot) -> None:
    """Each gets what it gets alone, though turns of all come mixed over shared connections."""
    config = ServeConfig(max_waiting=CONVERSATIONS, max_rows=16)

    async def talk(client: httpx.AsyncClient, conversation: int) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        for turn in range(TURNS):
            messages.append(user(line(conversation, turn)))
            body = {"messages": messages, "user": str(conversation)}
            response = await client.post("/v1/chat/completions", json=body)
            message = response.json()["choices"][0]["message"]
            messages.append({"role": "assistant", "content": message["content"]})
        return messages

    async def run(url: str) -> list[list[dict[str, Any]]]:
        limits = httpx.Limits(max_connections=CONNECTIONS)
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120) as client:
            return await asyncio.gather(*(talk(client, n) for n in range(CONVERSATIONS)))

    with serving(Hosted(terse), config) as url:
        wait_until_ready(url)
        spoken = asyncio.run(run(url))
    conversations = [EMPTY] * CONVERSATIONS
    for turn in range(TURNS):
        asked = [
            Request(line(n, turn), conversation=conversations[n]) for n in range(CONVERSATIONS)
        ]
        replies = terse.reply_many(asked)
        assert [reply.text for reply in replies] == [
            messages[2 * turn + 1]["content"] for messages in spoken
        ]
        conversations = [reply.conversation for reply in replies]


def test_an_overload_is_turned_away_and_the_rest_answered(terse: Bot) -> None:

    async def run(url: str) -> list[int]:
        async with httpx.AsyncClient(base_url=url, timeout=120) as client:
            body = {"messages": [user("Hello.")]}
            posts = (client.post("/v1/chat/completions", json=body) for _ in range(80))
            return [response.status_code for response in await asyncio.gather(*posts)]

    with serving(Hosted(terse), ServeConfig(max_waiting=8)) as url:
        wait_until_ready(url)
        statuses = asyncio.run(run(url))
        assert set(statuses) == {200, 429}
        assert statuses.count(200) >= 8
        with httpx.Client(base_url=url, timeout=60) as client:
            assert ask(client, user("Hello."))["choices"]
            assert "openmmb_requests_at_hand 0.0" in client.get("/metrics").text


def test_a_client_that_is_killed_harms_no_other(url: str, bot: Bot) -> None:
    context = multiprocessing.get_context("spawn")
    begun = context.Queue()
    clients = [context.Process(target=keep_asking, args=(url, begun)) for _ in range(2)]
    for client in clients:
        client.start()
    for _ in clients:
        begun.get()
    for client in clients:
        client.kill()
        client.join()
    with httpx.Client(base_url=url, timeout=60) as mine:
        reply = ask(mine, user("Are you there?"))["choices"][0]["message"]["content"]
        assert reply == bot.reply("Are you there?").text
        while "openmmb_requests_at_hand 0.0" not in mine.get("/metrics").text:
            pass


def keep_asking(url: str, begun: Any) -> None:
    """Ask until killed."""
    with httpx.Client(base_url=url, timeout=60) as client:
        while True:
            body = {"messages": [user("Hello!")], "stream": True}
            with client.stream("POST", "/v1/chat/completions", json=body) as stream:
                next(stream.iter_lines())
                begun.put(True)
