"""Running the application: an address, limits of connections, and an end that loses no reply."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from openmmb.chat.bot import Bot
from openmmb.errors import ConfigError
from openmmb.serve.app import create_app
from openmmb.serve.config import ServeConfig
from openmmb.serve.gate import LOCAL_NAMES
from openmmb.serve.service import Hosted

HOST: Final = "127.0.0.1"
PORT: Final = 8000
MAX_CONNECTIONS: Final = 512
KEEP_ALIVE: Final = 75
"""Seconds for which a connection without a request stays open: longer than proxies keep theirs."""
GRACE: Final = 5
"""Seconds beyond a reply's time that the end waits for replies at hand."""


def serve(
    bot: Bot | Hosted | Callable[[], Bot | Hosted],
    config: ServeConfig | None = None,
    *,
    host: str = HOST,
    port: int = PORT,
    on_start: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve a bot over HTTP until the process is told to end; then finish the replies at hand.

    Args:
        bot: Answers; or a bot and how it is presented; or what loads one of these.
        config: What is allowed.
        host: Address to listen at; by default this machine alone.
        port: 0: any that is free.
        on_start: Told the server's URL when it listens.

    Raises:
        ConfigError: The address cannot be had.
        Exception: What kept the bot from being loaded.
    """
    config = config or ServeConfig()
    listener = listen(host, port)
    failures: list[BaseException] = []

    def fail(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    app = create_app(bot, config, hosts=host_names(host, config), on_failure=fail)
    server = uvicorn.Server(settings(app, config))
    try:
        on_start(url_of(host, listener))
        server.run(sockets=[listener])
    finally:
        listener.close()
    if failures:
        raise failures[0]


def settings(app: FastAPI, config: ServeConfig) -> uvicorn.Config:
    """Return how uvicorn runs the application."""
    return uvicorn.Config(
        app,
        http=_protocol(config.read_limit),
        ws="none",
        loop="asyncio",
        log_level="warning",
        access_log=False,  # addresses of people are nobody's business; /metrics counts
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(config.time_limit) + GRACE,
        h11_max_incomplete_event_size=64 * 1024,
    )


def host_names(host: str, config: ServeConfig) -> tuple[str, ...]:
    """Return the names that requests may give as their host; nothing: any.

    With a key nobody gets in by another name either, and a server for other machines has names that
    it does not know of.
    """
    if config.allow_host:
        return (*config.allow_host, *LOCAL_NAMES)
    local = host in LOCAL_NAMES or host.startswith("127.")
    return (*LOCAL_NAMES, host) if local and not config.api_key else ()


def listen(host: str, port: int) -> socket.socket:
    """Take the address now, so that one that is taken is said before a model is loaded.

    Raises:
        ConfigError: The address cannot be had.
    """
    if not 0 <= port < 2**16:  # the resolver would take it modulo that
        raise ConfigError(f"host {host}, port {port}: expected a port from 0 to 65535")
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"host {host}, port {port}: {error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(MAX_CONNECTIONS)
    except OSError as error:
        listener.close()
        reason = error.strerror or error
        raise ConfigError(f"host {host}, port {port}: {reason}; use another --port") from None
    listener.setblocking(False)  # noqa: FBT003 that is its only parameter
    return listener


def url_of(host: str, listener: socket.socket) -> str:
    """Return the URL at which this machine reaches a listener."""
    port = listener.getsockname()[1]
    name = {"0.0.0.0": HOST, "::": "::1", "": HOST}.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _protocol(limit: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol, with a limit on the time that a request's head may take.

    Uvicorn waits for it as long as anybody likes, and each who dawdles holds a connection.
    """

    class Punctual(H11Protocol):
        """Closes a connection whose request does not begin in time."""

        timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Begin to wait for a request."""
            super().connection_made(transport)
            self.timer = self.loop.call_later(limit, transport.close)

        def data_received(self, data: bytes) -> None:
            """Wait on while a head is not whole."""
            super().data_received(data)
            reading = self.conn.their_state is h11.IDLE
            if not reading and self.timer is not None:
                self.timer.cancel()
                self.timer = None
            elif reading and self.timer is None and not self.transport.is_closing():
                self.timer = self.loop.call_later(limit, self.transport.close)

        def connection_lost(self, exc: Exception | None) -> None:
            """Wait no more."""
            if self.timer is not None:
                self.timer.cancel()
            super().connection_lost(exc)

    return Punctual
