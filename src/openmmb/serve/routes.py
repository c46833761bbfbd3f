"""What the server answers at which address."""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from openmmb.config import dump
from openmmb.safety.verdict import Utterance
from openmmb.serve import moderation
from openmmb.serve.completions import Completion
from openmmb.serve.failures import RequestFailure
from openmmb.serve.monitor import CONTENT_TYPE
from openmmb.serve.properties import describe_model, describe_server
from openmmb.serve.protocol import ChatRequest, ModerationRequest, TextPart
from openmmb.serve.responses import (
    ChatCompletion,
    ErrorBody,
    Health,
    Models,
    Moderations,
    Properties,
)
from openmmb.serve.service import Ready, Service
from openmmb.serve.streaming import EventStream, unless_gone

MAX_INPUTS = 64
"""Most texts that are moderated together."""
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in {
        400: "A field is wrong; `param` names it.",
        401: "There is no such key.",
        403: "The server does not answer to this name.",
        404: "There is no such model.",
        408: "The request did not come in in time.",
        413: "The request is too large.",
        429: "Too much is waiting; try again after `Retry-After`.",
        500: "The server failed.",
        503: "The model is being loaded.",
        504: "The reply took too long.",
    }.items()
}
ERRORS["4XX"] = {"model": ErrorBody, "description": "A mistake in the request."}


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the addresses of the protocol and of the server itself."""
    _add_status(app, service)
    _add_protocol(app, service)


def _add_status(app: FastAPI, service: Service) -> None:
    errors: dict[int | str, dict[str, Any]] = {status: ERRORS[status] for status in (401, 403, 503)}

    @app.get("/health", response_model=Health, responses={503: ERRORS[503]})
    async def health() -> Response:
        """Say whether the model is there."""
        _ = service.ready
        return JSONResponse({"status": "ok"})

    @app.get("/metrics", responses={200: {"content": {"text/plain": {}}}, **errors})
    async def metrics() -> Response:
        """Return counts and times as Prometheus reads them."""
        return Response(service.monitor.write(), media_type=CONTENT_TYPE)

    @app.get("/props", response_model=Properties, responses=errors)
    async def props() -> Response:
        """Say what the model sees and takes, what is allowed, and what it is."""
        return JSONResponse(describe_server(service.ready, service.config))

    @app.get("/v1/models", response_model=Models, responses=errors)
    async def models() -> Response:
        """List the one model."""
        return JSONResponse({"object": "list", "data": [describe_model(service.ready)]})

    @app.get("/v1/models/{name:path}", responses={404: ERRORS[404], **errors})
    async def model(name: str) -> Response:
        """Describe the model."""
        service.ready.check_name(name)
        return JSONResponse(describe_model(service.ready))


def _add_protocol(app: FastAPI, service: Service) -> None:
    @app.post("/v1/chat/completions", response_model=ChatCompletion, responses=ERRORS)
    async def complete(asked: ChatRequest, request: Request) -> Response:
        """Go on with a conversation."""
        if asked.stream_options is not None and not asked.stream:
            message = "stream_options: expected stream to be true, or no stream_options"
            raise RequestFailure(message, param="stream_options")
        ready = service.ready
        ready.check_name(asked.model)
        check_moderation(asked)
        completion = Completion(ready, asked, fingerprint=fingerprint(ready))
        task = service.answer(asked)
        if asked.stream:
            return EventStream(completion, task, ping_every=service.config.ping_every)
        return JSONResponse(completion.whole(await unless_gone(request, task)))

    @app.post("/v1/moderations", response_model=Moderations, responses=ERRORS)
    async def moderate(asked: ModerationRequest, request: Request) -> Response:
        """Say what the guard makes of texts."""
        ready = service.ready
        texts = read_inputs(asked, ready, service.config.max_characters)
        task = service.run(lambda: ready.bot.guard.judge_many(texts))
        return JSONResponse(moderation.moderations(await unless_gone(request, task)))


def fingerprint(ready: Ready) -> str:
    """Return what changes when the program or the model's settings do."""
    settings = dump(ready.bot.engine.config) + dump(ready.bot.search)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:10]
    return f"openmmb-{version('openmmb')}-{digest}"


def check_moderation(asked: ChatRequest) -> None:
    """Refuse to moderate with a model that is not there.

    Raises:
        RequestFailure: Another model than the guard is asked for.
    """
    if asked.moderation is not None and asked.moderation.model != moderation.MODEL:
        raise _no_guard("moderation.model", asked.moderation.model)


def read_inputs(asked: ModerationRequest, ready: Ready, max_characters: int) -> Sequence[Utterance]:
    """Return the texts that are to be judged.

    Raises:
        RequestFailure: There are too many, or one is too long; or there is no such guard.
    """
    if asked.model not in (None, moderation.MODEL):
        raise _no_guard("model", asked.model or "")
    if not ready.bot.guard.checks:
        raise RequestFailure("this server runs without a guard", code="guard_off")
    given = [asked.input] if isinstance(asked.input, str) else asked.input
    if not 1 <= len(given) <= MAX_INPUTS:
        message = f"input: expected 1 to {MAX_INPUTS} texts, got {len(given)}"
        raise RequestFailure(message, param="input", code="invalid_value")
    texts = [one.text if isinstance(one, TextPart) else one for one in given]
    for at, text in enumerate(texts):
        if len(text) > max_characters:
            field = "input" if isinstance(asked.input, str) else f"input.{at}"
            message = f"{field}: expected at most {max_characters} characters"
            raise RequestFailure(message, param=field, code="invalid_value")
    return [(text, ()) for text in texts]


def _no_guard(field: str, name: str) -> RequestFailure:
    message = f"{field}: no such model {name[:80]!r}; use {moderation.MODEL!r}"
    return RequestFailure(message, status=404, param=field, code="model_not_found")
