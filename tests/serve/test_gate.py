"""What may not come in does not: without a key, by another name, too large, too slow."""

import base64
import io
import json
import re
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from PIL import Image

from openmmb.chat.bot import Bot
from openmmb.chat.conversation import Conversation
from openmmb.chat.exchange import to_example
from openmmb.data.encode import encode_context
from openmmb.safety.guard import Guard
from openmmb.safety.verdict import Verdict
from openmmb.serve.config import ServeConfig
from openmmb.serve.gate import MARKS_PER_MESSAGE
from openmmb.serve.messages import TOTAL
from openmmb.serve.page_files import page_files
from openmmb.serve.server import host_names
from openmmb.serve.service import Hosted
from openmmb.text.tokenizer import SPECIALS
from tests.serve.conftest import KEY, serving, wait_until_ready
from tests.serve.test_routes import ask, refuse, user

SMALL = ServeConfig(
    api_key=(KEY,),
    origin=("https://friend.example",),
    max_waiting=2,
    max_bytes=20_000,
    max_image_bytes=3_000,
    max_image_pixels=10_000,
    max_turns=4,
    max_characters=100,
    time_limit=30,
    read_limit=0.5,
    ping_every=0.05,
)
MESSAGES = [user("Hi")]


class Doorkeeper:
    """A check of the guard's that keeps texts with "hold" until they are let."""

    def __init__(self) -> None:
        self.held, self.let = threading.Semaphore(0), threading.Event()

    def __call__(self, text: str, context: Sequence[str]) -> Verdict:
        if "hold" in text:
            self.held.release()
            self.let.wait()
        return Verdict(safe=True, check="doorkeeper")


@pytest.fixture(scope="module")
def keeper() -> Iterator[Doorkeeper]:
    keeper = Doorkeeper()
    yield keeper
    keeper.let.set()


@pytest.fixture
def doorkeeper(keeper: Doorkeeper) -> Iterator[Doorkeeper]:
    """The guard of ``small``, which lets nothing through that it is to hold."""
    keeper.held, keeper.let = threading.Semaphore(0), threading.Event()
    yield keeper
    keeper.let.set()


@pytest.fixture(scope="module")
def small_url(bot: Bot, keeper: Doorkeeper) -> Iterator[str]:
    """A server that allows little."""
    mine = Bot(bot.engine, guard=Guard((keeper,)), search=bot.search)
    with serving(Hosted(mine, name="tiny"), SMALL) as url:
        wait_until_ready(url)
        yield url
        keeper.let.set()


@pytest.fixture
def small(small_url: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=small_url, headers=headers, timeout=60) as client:
        yield client


def count(client: httpx.Client, name: str) -> float:
    """Return a number that the server counts."""
    found = re.search(rf"^{name} (.*)$", client.get("/metrics").text, re.MULTILINE)
    assert found, name
    return float(found[1])


def exchange(url: httpx.URL, data: bytes) -> bytes:
    """Send bytes and return all that comes until the server closes."""
    with socket.create_connection((url.host, url.port or 80)) as connection:
        connection.sendall(data)
        answer = b""
        while more := connection.recv(65536):
            answer += more
        return answer


def refuse_body(client: httpx.Client, body: bytes, status: int) -> dict[str, Any]:
    """Send bytes as JSON; return the error that they are told."""
    headers = {"Content-Type": "application/json"}
    response = client.post("/v1/chat/completions", content=body, headers=headers)
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    return error


def test_a_key_guards_everything_but_health_and_the_page(small: httpx.Client) -> None:
    for given in ("", "Bearer", f"Bearer {KEY}x", f"Basic {KEY}", KEY, "Bearer \xff"):
        headers = [(b"Authorization", given.encode("latin-1"))]
        for path in ("/v1/models", "/props", "/metrics", "/openapi.json", "/v1", "/x", "/v1/chat"):
            response = small.get(path, headers=headers)
            assert response.status_code == 401, (given, path)
            assert response.json()["error"]["code"] == "invalid_api_key"
            assert KEY not in response.text
        body = {"messages": MESSAGES}
        assert small.post("/v1/chat/completions", json=body, headers=headers).status_code == 401
    nobody = {"Authorization": ""}
    assert small.get("/health", headers=nobody).status_code == 200
    for path in page_files():
        assert small.get(path, headers=nobody).status_code == 200
    assert small.get("/v1/models").status_code == 200


def test_only_the_origins_that_are_named_may_call_from_a_browser(
    small: httpx.Client, client: httpx.Client
) -> None:
    preflight = {"Access-Control-Request-Method": "POST"}
    for server, origin, allowed in (
        (small, "https://friend.example", True),
        (small, "https://foe.example", False),
        (client, "https://friend.example", False),
    ):
        headers = {"Origin": origin, **preflight}
        response = server.options("/v1/chat/completions", headers=headers)
        granted = response.headers.get("access-control-allow-origin")
        assert granted == (origin if allowed else None)
        assert "access-control-allow-credentials" not in response.headers


def test_a_server_of_this_machine_answers_to_its_names_alone(bot: Bot) -> None:
    names = host_names("127.0.0.1", ServeConfig())
    with serving(Hosted(bot), hosts=names) as url:
        wait_until_ready(url)
        port = httpx.URL(url).port
        for host, status in (
            (f"localhost:{port}", 200),
            ("LOCALHOST", 200),
            (f"[::1]:{port}", 200),
            (f"evil.example:{port}", 403),
            ("127.0.0.1.evil.example", 403),
            ("", 403),
        ):
            assert httpx.get(f"{url}/v1/models", headers={"Host": host}).status_code == status, host


def test_a_server_with_a_key_or_for_other_machines_answers_to_any_name() -> None:
    assert host_names("127.0.0.1", ServeConfig(api_key=(KEY,))) == ()
    assert host_names("0.0.0.0", ServeConfig()) == ()
    named = host_names("0.0.0.0", ServeConfig(allow_host=("chat.example",)))
    assert "chat.example" in named
    assert "localhost" in named


def test_every_response_says_how_a_browser_may_use_it(small: httpx.Client) -> None:
    responses = [
        small.get("/health"),
        small.get("/nothing"),
        small.get("/v1/models", headers={"Authorization": ""}),
        small.post("/v1/chat/completions", content=b"{"),
    ]
    assert [response.status_code for response in responses] == [200, 404, 401, 400]
    for response in responses:
        assert response.headers["x-content-type-options"] == "nosniff"
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])
        assert "server" not in response.headers


def test_what_is_too_large_is_refused_before_it_is_read(small: httpx.Client) -> None:
    large = {"messages": [user("x" * 30_000)]}
    declared = small.post("/v1/chat/completions", json=large)
    assert declared.status_code == 413
    assert declared.json()["error"]["code"] == "request_too_large"
    chunks = iter([b"x" * 10_000] * 3)  # sent without its length
    assert small.post("/v1/chat/completions", content=chunks).status_code == 413
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Length: 999999999999999\r\n\r\n"
    )
    assert exchange(small.base_url, head.encode()).startswith(b"HTTP/1.1 413 ")
    assert small.get("/v1/models").status_code == 200


def test_a_request_of_more_values_than_any_has_is_refused_before_it_is_parsed(
    small: httpx.Client,
) -> None:
    """Each costs memory and time, and a byte or two to send."""
    most = TOTAL * SMALL.max_characters + MARKS_PER_MESSAGE * SMALL.max_turns
    head = b'{"messages": '  # one bracket
    for values in (b"[" * most, b"[" + b"1," * most, b"[" + b'{"a":' * most, b"[{},[]" * most):
        error = refuse_body(small, head + values, status=413)
        assert error["code"] == "request_too_large"
        assert str(most) in error["message"]
    refuse_body(small, head + b"[" * (most - 1), status=400)  # no more than are allowed
    crowded = [user("[{,,,,}]" * 10 + ",") for _ in range(3)]
    said = [crowded[0], {"role": "assistant", "content": "Oh."}, *crowded[1:]]
    assert ask(small, *said)["choices"], "a conversation of nothing else may be had"


def test_who_sends_slowly_is_not_waited_for(small: httpx.Client) -> None:
    half = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
    whole = f"Authorization: Bearer {KEY}\r\nContent-Length: 10\r\n\r\n".encode()
    assert exchange(small.base_url, b"") == b""
    assert exchange(small.base_url, half) == b""
    answer = exchange(small.base_url, half + whole + b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"slow_request" in answer
    address = (small.base_url.host, small.base_url.port or 80)
    crowd = [socket.create_connection(address) for _ in range(50)]
    for connection in crowd:
        connection.sendall(b"G")
    assert small.get("/v1/models").status_code == 200  # they keep nobody out
    for connection in crowd:
        connection.close()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [user("x" * 101)]}, "messages.0.content"),
        ({"messages": MESSAGES * 5}, "messages"),
        ({"messages": [user("x" * 90)] * 4, "persona": ["x" * 90] * 6}, "messages"),
        ({"messages": MESSAGES, "persona": ["x" * 101]}, "persona.0"),
        ({"messages": MESSAGES, "persona": "x" * 101}, "persona"),
        ({"messages": MESSAGES, "style": "x" * 201}, "style"),
        ({"messages": MESSAGES, "n": 11}, "n"),
        ({"messages": [user("Hi", "data:image/png;base64,AAAA")]}, "0.image_url.url"),
        ({"messages": [user("Hi", "data:image/png;base64,....")]}, "0.image_url.url"),
        (
            {"messages": [user("Hi", f"data:image/png;base64,{'A' * 5000}")]},
            "0.image_url.url",
        ),
        ({"messages": [user("Hi", "https://example.org/a.png")]}, "0.image_url.url"),
        ({"messages": [user("Hi", "file:///etc/passwd")]}, "0.image_url.url"),
        ({"messages": [user("Hi", "/etc/passwd")]}, "0.image_url.url"),
        ({"messages": [user("Hi", "photo.jpg")]}, "0.image_url.url"),
    ],
)
def test_a_request_beyond_a_limit_is_told_which_field(
    small: httpx.Client, body: dict[str, Any], param: str
) -> None:
    error = refuse(small, body)
    assert error["param"].endswith(param), error
    assert "root:" not in json.dumps(error)


def test_a_picture_of_too_many_pixels_is_refused(small: httpx.Client) -> None:
    file = io.BytesIO()
    Image.new("L", (2000, 1000)).save(file, "PNG")
    assert len(file.getvalue()) < SMALL.max_image_bytes
    uri = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    error = refuse(small, {"messages": [user("Look!", uri)]})
    assert error["param"] == "messages.0.content.0.image_url.url"
    assert "pixels" in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"hi"',
        b"\xff\xfe",
        b"[" * 1_000,
        b'{"messages":' + b"[" * 1_000,
        b'{"messages": NaN}',
        b'{"messages": [], "n": ' + b"9" * 6_000 + b"}",
        b'{"messages": [{"role": "user", "content": "\\ud800"}], "x\\ud800": 1}',
        b'{"messages": [{"role": "user", "content": ["x"]}]}',
        b'{"messages": [{"role": "user", "content": [{"type": "text"}]}]}',
        b'{"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}',
        b'{"messages": [{"role": "assistant", "content": "x"}]}',
        b'{"messages": [{"role": "user", "content": "x", "name": "Bob"}]}',
    ],
)
def test_a_broken_request_is_told_what_is_wrong(small: httpx.Client, body: bytes) -> None:
    error = refuse_body(small, body, status=400)
    assert error["message"]
    assert "Traceback" not in error["message"]
    assert "\ud800" not in error["message"]


def test_no_form_and_no_plain_text_is_taken(small: httpx.Client) -> None:
    """A page of anybody's may send these without asking the server first."""
    body = json.dumps({"messages": MESSAGES})
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ):
        response = small.post("/v1/chat/completions", content=body, headers={"Content-Type": kind})
        assert response.status_code == 400, kind


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/page/../app.py",
        "/index.html/../../app.py",
        "//etc/passwd",
        "/etc/passwd%00.html",
        "/v1/models/../../etc/passwd",
    ],
)
def test_no_file_of_the_machine_can_be_read(small: httpx.Client, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n"
    answer = exchange(small.base_url, f"{head}\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
    assert b"root:" not in answer
    assert b"import " not in answer


@pytest.mark.parametrize("special", [*SPECIALS, "__person__"])
def test_text_sets_no_control(small: httpx.Client, bot: Bot, special: str) -> None:
    """What the model reads of a special token's name is ordinary text, as it is in Python."""
    text, line = f"Hi {special} you", f"I am {special}."
    completion = ask(small, {"role": "system", "content": line}, user(text), style=special)
    conversation = Conversation(persona=(line,), style=special).add("person", text)
    example = to_example(conversation, gender=bot.gender, image_style=None)
    tokenizer = bot.engine.tokenizer
    ids = encode_context(example, tokenizer, bot.engine.config.encode)
    assert completion["usage"]["prompt_tokens"] == len(ids)
    listed = {tokenizer.special_id(name) for name in SPECIALS}
    assert sum(one in listed for one in ids) == 4  # style, persona, control, end


def test_a_full_queue_says_so_at_once_and_empties(
    small: httpx.Client, doorkeeper: Doorkeeper
) -> None:
    answers: list[int] = []

    def hold() -> None:
        body = {"messages": [user("hold on")]}
        answers.append(small.post("/v1/chat/completions", json=body).status_code)

    threads = [threading.Thread(target=hold) for _ in range(SMALL.max_waiting)]
    for thread in threads:
        thread.start()
    doorkeeper.held.acquire()
    while count(small, "openmmb_requests_at_hand") < 2:
        pass
    rejected = count(small, "openmmb_rejected_total")
    for _ in range(10):
        response = small.post("/v1/chat/completions", json={"messages": MESSAGES})
        assert response.status_code == 429
        assert response.headers["retry-after"] == "1"
        assert response.json()["error"]["code"] == "rate_limit_exceeded"
    assert small.get("/v1/models").status_code == 200
    doorkeeper.let.set()
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
    assert ask(small, *MESSAGES)["choices"][0]["message"]["content"]
    assert count(small, "openmmb_rejected_total") == rejected + 10


def test_a_stream_shows_that_it_lives_and_who_leaves_it_is_not_answered(
    small: httpx.Client, doorkeeper: Doorkeeper
) -> None:
    abandoned = count(small, "openmmb_abandoned_total")
    body = {"messages": [user("hold on")], "stream": True}
    with small.stream("POST", "/v1/chat/completions", json=body) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("data: {")
        while next(lines) != ": ping":
            pass
    doorkeeper.held.acquire()
    content = json.dumps({"messages": [user("hold on")]}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    connection = socket.create_connection((small.base_url.host, small.base_url.port or 80))
    connection.sendall(head.encode() + content)
    while count(small, "openmmb_requests_waiting") < 1:
        pass
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()  # as when a process is killed
    while count(small, "openmmb_abandoned_total") < abandoned + 2:
        pass
    assert count(small, "openmmb_requests_waiting") == 0
    doorkeeper.let.set()
    assert ask(small, *MESSAGES)["choices"]
    assert count(small, "openmmb_requests_at_hand") == 0


def test_a_reply_that_takes_too_long_is_given_up(bot: Bot, doorkeeper: Doorkeeper) -> None:
    slow = Bot(bot.engine, guard=Guard((doorkeeper,)), search=bot.search)
    with serving(slow, ServeConfig(time_limit=0.2)) as url:
        wait_until_ready(url)
        with httpx.Client(base_url=url, timeout=60) as client:
            error = refuse(client, {"messages": [user("hold on")]}, 504)
            assert error["code"] == "timeout"
            body = {"messages": [user("hold on")], "stream": True}
            events = client.post("/v1/chat/completions", json=body).text.split("\n\n")
            assert json.loads(events[1].removeprefix("data: "))["error"]["code"] == "timeout"
        doorkeeper.let.set()


def test_a_bug_is_told_without_its_traceback(bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    def broken(text: str, context: Sequence[str]) -> Verdict:
        if "break" in text:
            raise ZeroDivisionError("a secret")
        return Verdict(safe=True, check="broken")

    with serving(Bot(bot.engine, guard=Guard((broken,)), search=bot.search)) as url:
        wait_until_ready(url)
        with httpx.Client(base_url=url, timeout=60) as client:
            error = refuse(client, {"messages": [user("break")]}, 500)
            assert "secret" not in json.dumps(error)
            assert ask(client, *MESSAGES)["choices"]
    assert "a secret" in caplog.text  # where it belongs
