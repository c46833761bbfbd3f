"""Two replicas on one machine answer as one server, and go on when one of them dies."""

import importlib.util
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from openmmb.chat.bot import Bot, load
from openmmb.errors import ConfigError
from openmmb.serve.cluster import serve_on_ray
from openmmb.serve.config import ServeConfig
from tests.serve.test_routes import ask, user

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs openmmb[cluster]"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """``openmmb serve --ray`` in a process of its own; its URL once both replicas answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "openmmb", "serve", "tiny", "--ray", "--replicas", "2"]
    program = subprocess.Popen(
        [*command, "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout is not None
    try:
        assert any(line.startswith("http://") for line in program.stdout)
        yield f"http://127.0.0.1:{port}"
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(120)
        program.stdout.close()


def test_replicas_answer_as_one_server(cluster: str) -> None:
    bot = load("tiny")
    texts = [f"I have {number} dogs." for number in range(6)]
    with httpx.Client(base_url=cluster, timeout=120) as client, ThreadPoolExecutor(6) as pool:
        completions = pool.map(lambda text: ask(client, user(text), seed=1), texts)
        replies = [one["choices"][0]["message"]["content"] for one in completions]
        counts = {client.get("/metrics").text.count("openmmb_replies_total{") for _ in range(20)}
        assert counts, "each says what it counted itself"
    assert replies == _replies(bot, texts)


def _replies(bot: Bot, texts: list[str]) -> list[str]:
    return [bot.reply(text, seed=1).text for text in texts]


def test_more_replicas_than_are_allowed_are_an_error_of_one_line() -> None:
    with pytest.raises(ConfigError, match="replicas: expected from 1 to 2, got 3"):
        serve_on_ray(
            lambda: load("tiny"),
            ServeConfig(),
            host="127.0.0.1",
            port=0,
            replicas=3,
            max_replicas=2,
        )
