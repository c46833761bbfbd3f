"""The server as an ASGI application, which any ASGI server runs.

import openmmb
from openmmb.serve.app import create_app

app = create_app(openmmb.load)
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from importlib.resources.abc import Traversable

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.middleware.cors import CORSMiddleware

from openmmb.chat.bot import Bot
from openmmb.errors import OpenMMBError
from openmmb.serve import failures
from openmmb.serve.config import ServeConfig
from openmmb.serve.gate import PUBLIC, Gate
from openmmb.serve.page_files import page_files, respond
from openmmb.serve.routes import add_routes
from openmmb.serve.service import Hosted, Service

log = logging.getLogger("openmmb.serve")


def create_app(
    bot: Bot | Hosted | Callable[[], Bot | Hosted],
    config: ServeConfig | None = None,
    *,
    hosts: tuple[str, ...] = (),
    on_failure: Callable[[BaseException], None] | None = None,
) -> FastAPI:
    """Return the server as an ASGI application.

    Args:
        bot: Answers; or a bot and how it is presented: then the application has started when it
            can answer. Or what loads one of these, while ``/health`` says that it is being loaded.
        config: What is allowed.
        hosts: Names that requests may give as their host; empty: any.
        on_failure: Told why the bot could not be loaded, which the log says too.
    """
    config = config or ServeConfig()
    service = Service(lambda: _host(bot), config)
    files = page_files()
    app = FastAPI(
        title="OpenMMB",
        version=version("openmmb"),
        description="A Multi-Modal BlenderBot, spoken to in OpenAI's protocol.",
        docs_url=None,  # its scripts come from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(service, on_failure, loaded=isinstance(bot, (Bot, Hosted))),
    )
    failures.install(app)
    add_routes(app, service)
    for address, file in files.items():
        app.add_api_route(address, _page(file), methods=["GET", "HEAD"], include_in_schema=False)
    app.add_middleware(
        Gate,
        config=config,
        monitor=service.monitor,
        public={PUBLIC, *files},
        hosts=hosts,
        check_busy=service.check_busy,
    )
    if config.origin:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=config.origin,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
            expose_headers=["x-request-id", "retry-after"],
        )
    return app


def _host(bot: Bot | Hosted | Callable[[], Bot | Hosted]) -> Hosted:
    given = bot if isinstance(bot, (Bot, Hosted)) else bot()
    return Hosted(given) if isinstance(given, Bot) else given


def _lifespan(
    service: Service, on_failure: Callable[[BaseException], None] | None, *, loaded: bool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Load the model beside the server, which answers at once; at the end, answer what waits.

    With a bot that is loaded already little is left to do, and the server waits for that: whoever
    starts several, as Ray does, may send requests as soon as one has started.
    """

    async def load() -> None:
        try:
            await service.load()
        except OpenMMBError as error:
            log.error("%s", error)  # one line; a bug below has its traceback
            if on_failure is not None:
                on_failure(error)
        except Exception as error:  # a bug: logged whole, and the server still says that it failed
            log.exception("the model could not be loaded")
            if on_failure is not None:
                on_failure(error)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(load())
        try:
            if loaded:
                await loading
            yield
        finally:
            loading.cancel()
            await asyncio.to_thread(service.close)

    return lifespan


def _page(file: Traversable) -> Callable[[Request], Response]:
    def page(request: Request) -> Response:
        """Return a file of the page."""
        return respond(file, request)

    return page
