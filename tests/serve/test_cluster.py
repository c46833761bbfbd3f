"""Two replicas on one machine answer as one server, and leave nothing behind when it ends."""

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from openmmb.chat.bot import load
from openmmb.errors import ConfigError
from openmmb.serve.cluster import serve_on_ray
from openmmb.serve.config import ServeConfig
from tests.serve.test_routes import ask, user

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs openmmb[cluster]"
)
COMMAND = [sys.executable, "-m", "openmmb", "serve"]
TEXTS = [f"I have {number} dogs." for number in range(12)]


@pytest.fixture(scope="module")
def program() -> Iterator[subprocess.Popen[str]]:
    """``openmmb serve --ray``."""
    command = [*COMMAND, "tiny", "--ray", "--replicas", "2", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.send_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def client(program: subprocess.Popen[str]) -> Iterator[httpx.Client]:
    """Asks once both replicas answer."""
    assert program.stdout is not None
    url = next(line.split()[0] for line in program.stdout if line.startswith("http://"))
    with httpx.Client(base_url=url, timeout=120) as client:
        yield client


def test_each_replica_answers_and_as_one_server_does(client: httpx.Client) -> None:
    assert client.get("/health").status_code == 200
    with ThreadPoolExecutor(len(TEXTS)) as pool:
        completions = list(pool.map(lambda text: ask(client, user(text), seed=1), TEXTS))
    bot = load("tiny")
    assert [one["choices"][0]["message"]["content"] for one in completions] == [
        bot.reply(text, seed=1).text for text in TEXTS
    ]
    counts = {_replies(client) for _ in range(40)}  # each says what it counted itself
    assert max(counts) < len(TEXTS)
    assert sum(counts) == len(TEXTS) or counts == {len(TEXTS) / 2}


def test_a_replica_that_dies_is_replaced(
    program: subprocess.Popen[str], client: httpx.Client
) -> None:
    first, second = before = _replicas(program.pid)
    os.kill(first, signal.SIGKILL)
    while len(after := _replicas(program.pid) - {first}) < len(before):
        assert program.poll() is None
    assert second in after
    assert ask(client, user("Hello!"))["choices"]


def test_the_end_loses_no_reply_and_leaves_no_process(
    program: subprocess.Popen[str], client: httpx.Client
) -> None:
    processes = set(_descendants(program.pid))
    assert len(processes) > len(_replicas(program.pid))
    with ThreadPoolExecutor(len(TEXTS)) as pool:
        waiting = [pool.submit(ask, client, user(text), n=10, best_of=20, seed=1) for text in TEXTS]
        next(iter(waiting)).result()
        program.send_signal(signal.SIGTERM)
        assert [len(one.result()["choices"]) for one in waiting] == [10] * len(TEXTS)
    assert program.wait(120) == 0
    while processes & set(_commands()):  # the last of them end a moment later
        pass


def test_a_model_that_cannot_be_loaded_is_an_error_of_one_line() -> None:
    program = subprocess.run(
        [*COMMAND, "nosuch", "--ray", "--port", "0"], capture_output=True, text=True, check=False
    )
    assert program.returncode == 2
    assert program.stderr.splitlines()[-1] == (
        "openmmb serve: a replica could not be started: nosuch: no such folder; a checkpoint is a "
        "folder with config.toml"
    )


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


def _replies(client: httpx.Client) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith("openmmb_replies_total{")
    )


def _replicas(pid: int) -> set[int]:
    return {one for one, command in _descendants(pid).items() if "ServeReplica:" in command}


def _descendants(pid: int) -> dict[int, str]:
    """Return the processes that a process began, and those that they began, and their commands."""
    commands = _commands()
    known = {pid}
    while more := {one for one, (parent, _) in commands.items() if parent in known} - known:
        known |= more
    return {one: commands[one][1] for one in known - {pid}}


def _commands() -> dict[int, tuple[int, str]]:
    """Return each process of the machine that still runs: its parent and its command."""
    listing = subprocess.check_output(["ps", "-A", "-o", "pid=,ppid=,stat=,args="], text=True)
    rows = [line.split(None, 3) for line in listing.splitlines()]
    return {int(row[0]): (int(row[1]), row[3]) for row in rows if not row[2].startswith("Z")}
