"""``openmmb serve`` says where it is and whether its model is there, and ends cleanly."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from openmmb.chat.bot import Bot, load
from openmmb.errors import CheckpointError, ConfigError
from openmmb.serve.server import serve
from openmmb.serve.service import Hosted
from tests.serve.conftest import KEY, serving, wait_until_ready
from tests.serve.test_routes import user

COMMAND = [sys.executable, "-m", "openmmb", "serve", "--port", "0"]


@contextmanager
def process(*flags: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; yield it and its URL."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENMMB_")} | variables
    program = subprocess.Popen(
        [*COMMAND, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    assert program.stdout is not None
    try:
        greeting = re.match(r"(http://127\.0\.0\.1:\d+) is the page", program.stdout.readline())
        assert greeting, program.stdout.read()
        yield program, greeting[1]
    finally:
        program.kill()
        program.wait()
        program.stdout.close()


def test_it_ends_when_it_is_told_to_after_the_replies_at_hand(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"# one a line\n{KEY}\n")
    variables = {"OPENMMB_API_KEY_FILE": str(keys), "OPENMMB_ALIAS": "mine"}
    with process(**variables) as (program, url):
        wait_until_ready(url)
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            assert client.get("/v1/models").json()["data"][0]["id"] == "mine"
            body = {"messages": [user("Hello!")], "stream": True}
            with client.stream("POST", "/v1/chat/completions", json=body) as stream:
                lines = stream.iter_lines()
                next(lines)
                program.send_signal(signal.SIGTERM)
                rest = [line for line in lines if line.startswith("data:")]
        assert rest[-1] == "data: [DONE]"
        assert json.loads(rest[0].removeprefix("data: "))["choices"][0]["delta"]["content"]
        assert program.wait() == 0
        assert program.stdout is not None
        assert program.stdout.read() == ""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_while_its_model_is_being_loaded(end: signal.Signals) -> None:
    with process() as (program, url):
        while httpx.get(f"{url}/health", timeout=60).json()["error"]["code"] != "loading":
            pass
        program.send_signal(end)
        assert program.wait() == 0
        assert program.stdout is not None
        assert program.stdout.read() == ""


def test_a_model_that_is_none_ends_it(tmp_path: Path) -> None:
    urls = list[str]()
    with pytest.raises(CheckpointError, match=r"config\.toml"):
        serve(lambda: load(tmp_path), port=0, on_start=urls.append)
    assert urls[0].startswith("http://127.0.0.1:")


def test_an_address_that_is_taken_is_an_error_of_one_line(bot: Bot) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"host 127.0.0.1, port {port}: .*; use another"):
            serve(bot, port=port)
    with pytest.raises(ConfigError, match=r"host 127\.0\.0\.1, port 70000: "):
        serve(bot, port=70000)


def test_with_a_bot_that_is_loaded_its_first_answer_is_that_it_is_ready(bot: Bot) -> None:
    with serving(bot) as url:
        assert httpx.get(f"{url}/health", timeout=60).status_code == 200


def test_it_says_that_it_is_loading(bot: Bot) -> None:
    let = threading.Event()

    def loading() -> Hosted:
        let.wait()
        return Hosted(bot, name="tiny")

    with serving(loading) as url, httpx.Client(base_url=url, timeout=60) as client:
        for path in ("/health", "/v1/models", "/props"):
            response = client.get(path)
            assert response.status_code == 503
            assert response.json()["error"]["code"] == "loading"
            assert response.headers["retry-after"] == "1"
        body = {"messages": [user("Hi")]}
        assert client.post("/v1/chat/completions", json=body).status_code == 503
        assert "openmmb_loaded 0.0" in client.get("/metrics").text
        let.set()
        wait_until_ready(url)
        assert client.post("/v1/chat/completions", json=body).status_code == 200


def test_it_says_that_it_could_not_load(caplog: pytest.LogCaptureFixture) -> None:
    def loading() -> Hosted:
        raise CheckpointError("nowhere: no such folder")

    with serving(loading) as url, httpx.Client(base_url=url, timeout=60) as client:
        while "could not be loaded" not in client.get("/health").text:
            pass
        assert client.get("/health").status_code == 503
        assert "nowhere" not in client.get("/health").text
    assert "nowhere: no such folder" in caplog.text
