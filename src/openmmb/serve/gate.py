"""What happens to a request before anything of it is parsed, and to every response.

Everything but ``/health`` and the page's own files asks for a key where there are keys. A server
without keys that listens to this machine alone answers only to names of this machine: a page of
somebody else's that makes a browser believe that its own name is this machine's gets nothing.
"""

import asyncio
import hashlib
import hmac
import time
import uuid
from collections.abc import Callable, Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openmmb.serve.config import ServeConfig
from openmmb.serve.failures import RequestFailure, as_failure, busy
from openmmb.serve.messages import TOTAL
from openmmb.serve.monitor import Monitor

PUBLIC: Final = "/health"
ADDRESSES: Final = (
    "/health",
    "/metrics",
    "/props",
    "/openapi.json",
    "/v1/models",
    "/v1/chat/completions",
    "/v1/moderations",
)
"""Counted one by one; all else together, or whoever asks for many would make many counters."""
LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")
AT_ONCE: Final = 8
"""Bodies of the largest size that are held in memory together."""
MARKS_PER_MESSAGE: Final = 64
"""Commas and brackets that a message may have beside those of its text."""

SECURITY: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
}
"""Headers of every response."""


class Gate:
    """Lets in what may come in.

    Args:
        app: What answers.
        config: What is allowed.
        monitor: Counts.
        public: Addresses that ask for no key.
        hosts: Names that a request may give as its host; empty: any.
        check_busy: Refuses requests for replies where too many are at hand.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        config: ServeConfig,
        monitor: Monitor,
        public: Collection[str],
        hosts: Collection[str],
        check_busy: Callable[[], None],
    ) -> None:
        self._app, self._config, self._monitor = app, config, monitor
        self._public, self._check_busy = frozenset(public), check_busy
        self._hosts = frozenset(host.lower() for host in hosts)
        self._keys = tuple(_digest(key) for key in config.api_key)
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, held, begun = time.perf_counter(), 500, 0, False
        request_id = uuid.uuid4().hex

        async def send_on(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
                headers["x-request-id"] = request_id
            await send(message)

        try:
            self._admit(scope)
            body = await self._read(scope, receive)
            held = len(body)
            self._check_marks(body)
            await self._app(scope, _replay(body, receive), send_on)
        except Exception as error:  # told here, so that no traceback is ever sent
            if begun:
                raise
            await as_failure(error).response()(scope, receive, send_on)
        finally:
            self._held -= held
            path = _path(scope) if _path(scope) in ADDRESSES else "other"
            self._monitor.requests.labels(path, str(status)).inc()
            self._monitor.seconds.labels(path).observe(time.perf_counter() - started)

    def _admit(self, scope: Scope) -> None:
        """Refuse a request by its head alone.

        Raises:
            RequestFailure: It may not come in.
        """
        headers = Headers(scope=scope)
        if self._hosts and _host_name(headers.get("host", "")) not in self._hosts:
            message = "host: this server answers to other names; --allow-host adds one"
            raise RequestFailure(message, status=403, code="host_not_allowed")
        if self._keys and _path(scope) not in self._public:
            self._check_key(headers.get("authorization", ""))
        if _path(scope) == "/v1/chat/completions" and scope["method"] == "POST":
            self._check_busy()

    def _check_key(self, given: str) -> None:
        scheme, _, key = given.partition(" ")
        digest = _digest(key.strip() if scheme.lower() == "bearer" else "")
        # All are compared, and each whole: how long it takes tells nothing.
        matches = [hmac.compare_digest(digest, known) for known in self._keys]
        if not any(matches):
            headers = {"WWW-Authenticate": "Bearer"}
            message = "expected an API key that this server knows, as Authorization: Bearer KEY"
            raise RequestFailure(message, status=401, code="invalid_api_key", headers=headers)

    def _check_marks(self, body: bytes) -> None:
        """Refuse a body of more values than any request has: each takes memory and time to parse.

        A value costs a byte or two to send and up to a kilobyte to refuse, so that the limit on
        bytes, which is there for pictures, does not bound it. A comma or a bracket comes before
        each value; those in texts count too, and there is room for a conversation of nothing else.

        Raises:
            RequestFailure: It has.
        """
        config = self._config
        most = TOTAL * config.max_characters + MARKS_PER_MESSAGE * config.max_turns
        if sum(body.count(mark) for mark in (b",", b"[", b"{")) > most:
            message = f"expected a request of at most {most} commas and opening brackets"
            raise RequestFailure(message, status=413, code="request_too_large")

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        """Read a body that is not too large, in time; what is read counts as held.

        Raises:
            RequestFailure: It is too large, takes too long, or too much is held already.
        """
        most = self._config.max_bytes
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared[:20]) > most:
            raise _too_large(most)
        body = bytearray()
        try:
            async with asyncio.timeout(self._config.read_limit):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RequestFailure("the client left", status=400)
                    data = message.get("body", b"")
                    if len(body) + len(data) > most:
                        raise _too_large(most)
                    if self._held + len(data) > AT_ONCE * most:
                        raise busy("too many large requests are being read; try again later")
                    body += data
                    self._held += len(data)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            self._held -= len(body)
            raise _too_slow(self._config.read_limit) from None
        except BaseException:  # a client that leaves cancels this; what it held is given back
            self._held -= len(body)
            raise


CLOSE: Final = {"Connection": "close"}


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read, and after it what else comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large(most: int) -> RequestFailure:
    message = f"expected a request of at most {most} bytes"
    return RequestFailure(message, status=413, code="request_too_large", headers=CLOSE)


def _too_slow(seconds: float) -> RequestFailure:
    message = f"the request did not come in within {seconds:g} seconds"
    return RequestFailure(message, status=408, code="slow_request", headers=CLOSE)


def _path(scope: Scope) -> str:
    """Return a request's address in the application, wherever another has mounted it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _host_name(host: str) -> str:
    """Return a host's name without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
