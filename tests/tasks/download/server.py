"""A web server on this machine that can also misbehave."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Fault = Callable[[BaseHTTPRequestHandler, bytes], None]
"""Answers one request in place of the server, given what the file holds."""


@dataclass
class Site:
    """What is served.

    Attributes:
        url: Of its root, without the slash.
        files: Contents by path.
        faults: By path, what happens at the next requests, one after the other.
        requests: Path and asked range of every request so far.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def serve() -> Iterator[Site]:
    """Serve until the end of the block."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            site.requests.append((self.path, asked))
            content = site.files.get(self.path)
            if site.faults.get(self.path):
                site.faults[self.path].pop(0)(self, content or b"")
            elif content is None:
                self.send_error(404)
            else:
                send(self, content, int(asked[6:-1]) if asked else 0)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, content: bytes, start: int, stop: int = -1) -> None:
    """Send the file from ``start`` on; with ``stop``, break off there."""
    if start and start >= len(content):
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(content)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    handler.wfile.write(content[start:] if stop < 0 else content[start:stop])


def drop_at(stop: int) -> Fault:
    """Break off before byte ``stop`` of the file."""

    def fault(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        asked = handler.headers.get("Range")
        start = int(asked[6:-1]) if asked else 0
        send(handler, content, start, max(start, stop))

    return fault


def say(status: int) -> Fault:
    """Answer with a status."""
    return lambda handler, _: handler.send_error(status)


def ignore_range(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    """Send everything, whatever was asked for."""
    send(handler, content, 0)


def without_length(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    """Send everything and do not say how much it is."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(content)


def hang_up(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    """Close the connection without a word."""


def keep_silent(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    """Say nothing until the other side has had enough."""
    handler.rfile.read(1)


def redirect_to(url: str) -> Fault:
    """Answer that the file is elsewhere."""

    def fault(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return fault


def answer(*lines: str) -> Fault:
    """Send these lines, and a file of nothing."""

    def fault(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.wfile.write("\r\n".join(("HTTP/1.1 200 OK", *lines, "", "")).encode())
        handler.close_connection = True

    return fault


def begin_headers(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    """Send the first line and a header, and break off."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Header: ")
    handler.close_connection = True
