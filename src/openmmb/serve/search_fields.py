"""From the fields of a request to how its reply is searched for.

Without any of them it is the checkpoint's own search. ``top_p``, ``top_k`` or ``use_beam_search:
false`` ask for a draw; ``use_beam_search: true`` for a beam. ``temperature`` is what logits are
divided by in either; 0 asks for the likeliest, which a beam gives anyway.
"""

from dataclasses import replace
from typing import Any

from openmmb.search.config import Method, SearchConfig
from openmmb.serve.config import ServeConfig
from openmmb.serve.failures import RequestFailure
from openmmb.serve.protocol import ChatRequest

COLD = 0.001
"""Up to here a temperature is 0: the limit, in which the likeliest is all there is."""


def plan_search(request: ChatRequest, base: SearchConfig, limits: ServeConfig) -> SearchConfig:
    """Return how the reply to a request is searched for.

    Args:
        request: What is asked.
        base: The search of the bot, which also bounds the length of a reply.
        limits: What the server allows.

    Raises:
        RequestFailure: A number is beyond what the server allows, or two fields contradict.
    """
    method = _method(request, base)
    longest = _longest(request, base)
    given: dict[str, Any] = {
        "method": method,
        "beam_size": _beam_size(request, base, method, limits),
        "max_length": longest,
        "min_length": _shortest(request, base, longest),
        "block_ngram": request.block_ngram,
        "block_context_ngram": request.block_context_ngram,
        "length_penalty": request.length_penalty,
        "temperature": request.temperature if (request.temperature or 0) > COLD else None,
        "top_p": request.top_p if method == "nucleus" else None,
        "top_k": request.top_k if method == "topk" else None,
    }
    try:
        return replace(base, **{name: value for name, value in given.items() if value is not None})
    except ValueError as error:  # a bound of the search's own; it begins with the name
        name, _, message = str(error).partition(" ")
        raise _wrong(name, message) from None


def count_replies(request: ChatRequest, limits: ServeConfig) -> int:
    """Return how many replies are wanted.

    Raises:
        RequestFailure: They are more than the server gives.
    """
    wanted = request.n or 1
    if wanted > min(limits.max_replies, limits.max_beams):
        raise _beyond("n", wanted, min(limits.max_replies, limits.max_beams))
    return wanted


def _method(request: ChatRequest, base: SearchConfig) -> Method:
    top_p = request.top_p is not None and request.top_p < 1
    top_k = request.top_k is not None and request.top_k > 0
    if top_p and top_k:
        raise _wrong("top_k", "cannot be had together with top_p; use one of them")
    if request.use_beam_search:
        if top_p or top_k:
            field = "top_p" if top_p else "top_k"
            raise _wrong(field, "a beam draws nothing; leave it or use_beam_search out")
        return "beam"
    if request.use_beam_search is None and not (top_p or top_k):
        return "greedy" if _is_cold(request) and _draws(base.method) else base.method
    if _is_cold(request):
        return "greedy"
    return "topk" if top_k else "nucleus"


def _is_cold(request: ChatRequest) -> bool:
    return request.temperature is not None and request.temperature <= COLD


def _draws(method: Method) -> bool:
    return method in ("topk", "nucleus", "delayed_beam")


def _beam_size(
    request: ChatRequest, base: SearchConfig, method: Method, limits: ServeConfig
) -> int | None:
    wanted = count_replies(request, limits)
    named = {"beam_size": request.beam_size, "best_of": request.best_of}
    given = {field: value for field, value in named.items() if value is not None}
    if len(set(given.values())) > 1:
        raise _wrong("best_of", "contradicts beam_size; use one of them")
    for field, value in given.items():
        if value > limits.max_beams:
            raise _beyond(field, value, limits.max_beams)
        if value < wanted:
            raise _wrong(field, f"expected at least n, which is {wanted}, got {value}")
        return value
    if method == "greedy" and wanted > 1:
        raise _wrong("n", "the likeliest reply is one; leave out temperature 0 or use_beam_search")
    # Each draw is on its own: one for each reply is a fair sample.
    own = 1 if _draws(method) and method != base.method else base.beam_size
    return min(max(own, wanted), limits.max_beams)


def _longest(request: ChatRequest, base: SearchConfig) -> int:
    """A reply gets no longer than the model's own longest, whatever a client allows."""
    both = (request.max_completion_tokens, request.max_tokens)
    if None not in both and both[0] != both[1]:
        raise _wrong("max_tokens", "contradicts max_completion_tokens; use one of them")
    return min([base.max_length, *(value for value in both if value is not None)])


def _shortest(request: ChatRequest, base: SearchConfig, longest: int) -> int:
    if request.min_tokens is None:
        return min(base.min_length, longest - 1)
    if request.min_tokens >= longest:
        raise _wrong(
            "min_tokens",
            f"expected less than the longest reply, {longest} tokens with the one that ends it, "
            f"got {request.min_tokens}",
        )
    return request.min_tokens


def _beyond(field: str, value: int, most: int) -> RequestFailure:
    return _wrong(field, f"expected at most {most}, got {value}")


def _wrong(field: str, message: str) -> RequestFailure:
    return RequestFailure(f"{field}: {message}", param=field, code="invalid_value")
