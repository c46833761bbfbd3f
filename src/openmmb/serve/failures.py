"""What a request is told when it fails, in the words that clients of OpenAI's protocol read.

A client tries again by itself after 408, 429 and 5xx, and obeys ``Retry-After``. Nothing that is
told holds a traceback, a path, or more than a short quotation of what was sent.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from openmmb.errors import OpenMMBError, shorten, unknown
from openmmb.serve.protocol import UNSUPPORTED, ChatRequest
from openmmb.text.printable import printable

log = logging.getLogger("openmmb.serve")

INVALID = "invalid_json"
RETRY_SECONDS = 1
"""After which a client that was told to come later may try again."""


class RequestFailure(OpenMMBError):  # noqa: N818 it is what a request is told
    """A request cannot be answered.

    Args:
        message: What was wrong, in one line.
        status: HTTP's number for it.
        param: The field that is wrong, such as ``messages.0.content``.
        code: A word for programs.
        headers: To send along.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return what is sent, as the protocol has it."""
        return {
            "error": {
                "message": _one_line(str(self)),
                "type": _kind(self.status),
                "param": None if self.param is None else _one_line(self.param),
                "code": self.code,
            }
        }

    def response(self) -> JSONResponse:
        """Return it as a response."""
        return JSONResponse(self.body(), status_code=self.status, headers=self.headers)


def busy(message: str) -> RequestFailure:
    """Say that too much is waiting already."""
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return RequestFailure(message, status=429, code="rate_limit_exceeded", headers=headers)


def too_late(seconds: float) -> RequestFailure:
    """Say that a reply took too long."""
    message = f"no reply within {seconds:g} seconds; the server is busy, or the request is large"
    return RequestFailure(message, status=504, code="timeout")


def not_ready(message: str = "the model is being loaded") -> RequestFailure:
    """Say that there is no model yet."""
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return RequestFailure(message, status=503, code="loading", headers=headers)


def as_failure(error: BaseException) -> RequestFailure:
    """Return what is told of an error: a user's mistake in its words, a bug in none."""
    if isinstance(error, RequestFailure):
        return error
    if isinstance(error, OpenMMBError):
        return RequestFailure(str(error), param=_field_of(str(error)))
    log.error("a request failed", exc_info=error)
    return RequestFailure("the server failed; its log says why", status=500, code="server_error")


def install(app: FastAPI) -> None:
    """Let every error of an application be told in this form."""

    async def told(_: Request, error: Exception) -> JSONResponse:
        return as_failure(error).response()

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return _explain(error.errors()).response()

    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        status, message, code = error.status_code, str(error.detail), None
        if status == 404:
            message = "there is nothing at this address; see /openapi.json"
        elif status == 400:  # FastAPI's, of a body that Python's parser gives up on
            message, code = "expected JSON in UTF-8, not too deep, without huge numbers", INVALID
        return RequestFailure(message, status=status, code=code, headers=error.headers).response()

    app.add_exception_handler(OpenMMBError, told)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(Exception, told)


def _explain(errors: Sequence[Any]) -> RequestFailure:
    """Name the first field that does not fit, and say how many others do not."""
    first = errors[0]
    steps = [str(step) for step in first["loc"] if step != "body" and not _is_variant(step)]
    if first["type"] == "json_invalid":
        return RequestFailure(f"expected JSON: {first['ctx']['error']}", code=INVALID)
    if not steps:
        message = "expected a JSON object, sent as application/json"
        return RequestFailure(message, code=INVALID)
    field = ".".join(steps)
    more = "" if len(errors) == 1 else f" (and {len(errors) - 1} more)"
    message = f"{field}: {_reason(first, steps)}{more}"
    return RequestFailure(message, param=field, code=first["type"])


def _reason(error: Any, steps: Sequence[str]) -> str:
    """Say what is wrong with a field."""
    for name in (steps[-1], steps[0], _kind_of(error["input"])):
        if name in UNSUPPORTED:
            return UNSUPPORTED[name]
    if error["type"] == "missing":
        return "missing"
    if error["type"] == "extra_forbidden":
        known = ChatRequest.model_fields if len(steps) == 1 else ()
        return unknown("field", steps[-1], known) if known else "no such field"
    return str(error["msg"])


def _kind_of(value: object) -> str:
    """Return what a part of a message says that it is."""
    return str(value.get("type")) if isinstance(value, dict) else ""


def _is_variant(step: object) -> bool:
    """Return whether a step of a location names a type of several, and no field."""
    return isinstance(step, str) and (step.startswith("<") or step.endswith("]") or step == "str")


def _field_of(message: str) -> str | None:
    """Return the field that a message of this project's begins with, if it does."""
    name, colon, _ = message.partition(": ")
    return name if colon and name.replace(".", "").replace("_", "").isalnum() else None


def _kind(status: int) -> str:
    match status:
        case 401 | 403:
            return "authentication_error"
        case 429:
            return "rate_limit_error"
        case _ if status >= 500:
            return "server_error"
    return "invalid_request_error"


def _one_line(text: str) -> str:
    flat = printable(" ".join(text.split()))
    return flat if len(flat) <= 500 else shorten(flat)
