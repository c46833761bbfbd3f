"""A real server on a free port, with the bundled model, for all tests; others as they ask."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from openmmb.chat.bot import Bot, load
from openmmb.safety.guard import GuardConfig, open_guard
from openmmb.search.config import SearchConfig
from openmmb.serve.app import create_app
from openmmb.serve.config import ServeConfig
from openmmb.serve.server import settings
from openmmb.serve.service import Hosted

QUICK = SearchConfig(
    method="beam", beam_size=3, min_length=4, max_length=24, block_ngram=3, block_context_ngram=3
)
KEY = "a-key"


@contextmanager
def serving(
    bot: Bot | Hosted | Callable[[], Bot | Hosted],
    config: ServeConfig | None = None,
    *,
    hosts: tuple[str, ...] = (),
) -> Iterator[str]:
    """Run a server in a thread; yield its URL."""
    config = config or ServeConfig()
    with running(create_app(bot, config, hosts=hosts), config) as url:
        yield url


@contextmanager
def running(app: FastAPI, config: ServeConfig) -> Iterator[str]:
    """Run an application in a thread; yield its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(settings(app, config))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def wait_until_ready(url: str) -> None:
    """Return when the model is there."""
    retries = httpx.HTTPTransport(retries=20)
    with httpx.Client(base_url=url, transport=retries) as client:
        while client.get("/health").status_code != 200:
            pass


@pytest.fixture(scope="session")
def bot() -> Bot:
    """The bundled model, with a search that is quick."""
    return load("tiny", search=QUICK, guard=open_guard(GuardConfig()))


@pytest.fixture(scope="session")
def url(bot: Bot) -> Iterator[str]:
    """A server that all tests share."""
    with serving(Hosted(bot, name="tiny", card="# A card")) as url:
        wait_until_ready(url)
        yield url


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client
