"""How slow a transfer may be, whatever a server does: a least rate, and a longest time in all.

It is measured below everything that reads from the connection, so that a server that brings a byte
now and then is noticed in its headers too.
"""

import http.client
import io
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable
from functools import cache, partial
from typing import IO, Any, Final, cast

WINDOW_S: Final = 60.0
LEAST_RATE: Final = 1024
"""Bytes a second that must come in each window of time."""
LONGEST_S: Final = 24 * 3600.0
"""Longest time of a file."""

Clock = Callable[[], float]


class TooSlowError(Exception):
    """This connection brings next to nothing."""


class OverdueError(Exception):
    """The transfer has taken too long."""


class Pace:
    """Watch one transfer, over all its connections.

    Args:
        longest_s: Its longest time.
        clock: Says the time in seconds.
    """

    def __init__(self, longest_s: float = LONGEST_S, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._longest_s = longest_s
        self._end = clock() + longest_s
        self.begin()

    def begin(self) -> None:
        """Begin a new connection."""
        self._since, self._bytes = self._clock(), 0

    def count(self, received: int) -> None:
        """Count bytes as they come.

        Raises:
            TooSlowError: There were too few lately.
            OverdueError: The time is over.
        """
        now = self._clock()
        if now > self._end:
            raise OverdueError(f"not done after {self._longest_s:.0f} s")
        self._bytes += received
        if now - self._since < WINDOW_S:
            return
        if self._bytes < LEAST_RATE * (now - self._since):
            raise TooSlowError(f"fewer than {LEAST_RATE} bytes a second")
        self._since, self._bytes = now, 0


def build_opener(pace: Pace) -> urllib.request.OpenerDirector:
    """Return what opens HTTP and HTTPS at a pace.

    Nothing else: no redirect may lead to a file of this machine.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _PacedHandler(pace),
        _Redirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and leaves no connection open where one leads nowhere."""

    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except BaseException:  # it goes on as it came; only the connection is let go
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class _PacedHandler(urllib.request.HTTPSHandler):
    """Opens both kinds of connections."""

    def __init__(self, pace: Pace) -> None:
        super().__init__(context=_context())
        self._pace = pace

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._paced(http.client.HTTPConnection), request)

    http_request = urllib.request.HTTPSHandler.https_request

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        kind = partial(http.client.HTTPSConnection, context=_context())
        return self.do_open(self._paced(kind), request)

    def _paced(self, kind: Callable[..., http.client.HTTPConnection]) -> Any:
        def connect(host: str, *, timeout: float) -> http.client.HTTPConnection:
            connection = kind(host, timeout=timeout)
            connection.response_class = cast("Any", partial(_PacedResponse, self._pace))
            return connection

        return connect


class _PacedResponse(http.client.HTTPResponse):
    def __init__(
        self, pace: Pace, sock: socket.socket, debuglevel: int = 0, method: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method)
        self.fp = io.BufferedReader(_PacedReader(pace, self.fp.detach()))


class _PacedReader(io.RawIOBase):
    def __init__(self, pace: Pace, raw: io.RawIOBase) -> None:
        self._pace, self._raw = pace, raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._raw.readinto(buffer)
        self._pace.count(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()  # reads the certificates of the machine, once
