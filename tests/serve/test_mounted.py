"""The server inside a bigger application answers at its own address as it does alone."""

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from openmmb.chat.bot import Bot
from openmmb.serve.app import create_app
from openmmb.serve.config import ServeConfig
from openmmb.serve.page_files import page_files
from openmmb.serve.service import Hosted
from tests.serve.conftest import KEY, running
from tests.serve.test_routes import ask, user

CONFIG = ServeConfig(api_key=(KEY,))


@pytest.fixture(scope="module")
def outer(bot: Bot) -> Iterator[str]:
    """An application with an address of its own, and the server at /chat."""
    app = create_app(Hosted(bot, name="tiny"), CONFIG)
    whole = FastAPI(lifespan=app.router.lifespan_context)

    @whole.get("/health")
    def health() -> str:
        return "the outer one"

    whole.mount("/chat", app)
    with running(whole, CONFIG) as url:
        yield url


@pytest.fixture
def mounted(outer: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    transport = httpx.HTTPTransport(retries=20)
    with httpx.Client(
        base_url=f"{outer}/chat", headers=headers, timeout=60, transport=transport
    ) as client:
        while client.get("/health").status_code != 200:
            pass
        yield client


def test_it_answers_beside_what_else_there_is(mounted: httpx.Client, outer: str) -> None:
    assert ask(mounted, user("Hello!"))["model"] == "tiny"
    assert httpx.get(f"{outer}/health").json() == "the outer one"
    assert httpx.get(f"{outer}/v1/models").status_code == 404


def test_its_page_and_its_health_need_no_key_and_all_else_does(mounted: httpx.Client) -> None:
    nobody = {"Authorization": ""}
    for path in ("/health", *page_files()):
        assert mounted.get(path, headers=nobody).status_code == 200, path
    for path in ("/v1/models", "/props", "/metrics", "/chat/health", "/v1/health"):
        assert mounted.get(path, headers=nobody).status_code == 401, path


def test_it_counts_by_its_own_addresses(mounted: httpx.Client) -> None:
    mounted.get("/v1/models")
    assert 'path="/v1/models",status="200"' in mounted.get("/metrics").text
