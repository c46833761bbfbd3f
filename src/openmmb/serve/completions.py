"""From a reply to what a client reads: a completion, or the chunks of a stream."""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

from openmmb.serve import moderation
from openmmb.serve.protocol import ChatRequest
from openmmb.serve.service import Answered, Ready

DONE = "data: [DONE]\n\n"
PING = ": ping\n\n"


class Completion:
    """What is told of a reply.

    Args:
        ready: Who answered.
        asked: What was asked.
        fingerprint: Changes when the program or the model does.
    """

    def __init__(self, ready: Ready, asked: ChatRequest, *, fingerprint: str) -> None:
        self._ready, self._asked = ready, asked
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": ready.name,
            "system_fingerprint": fingerprint,
        }
        if asked.service_tier is not None:
            self._head["service_tier"] = "default"

    def whole(self, answered: Answered) -> dict[str, Any]:
        """Return the completion as one object."""
        choices = [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": choice.text,
                    "refusal": choice.refusal,
                },
                "finish_reason": choice.finish_reason,
                "logprobs": None,
            }
            for index, choice in enumerate(answered.choices)
        ]
        return {
            "object": "chat.completion",
            **self._head,
            "choices": choices,
            "usage": self._usage(answered),
            **self._verdicts(answered),
        }

    def opening(self) -> str:
        """Return the first chunk, which can be sent before there is a reply."""
        return self._chunk([_delta(0, {"role": "assistant", "content": ""})])

    def rest(self, answered: Answered) -> Iterator[str]:
        """Yield the chunks after the first."""
        choices = answered.choices
        for index, choice in enumerate(choices):
            if index:
                yield self._chunk([_delta(index, {"role": "assistant", "content": ""})])
            refusal = {} if choice.refusal is None else {"refusal": choice.refusal}
            yield self._chunk([_delta(index, {"content": choice.text, **refusal})])
        ends = [_delta(index, {}, choice.finish_reason) for index, choice in enumerate(choices)]
        for end in ends[:-1]:
            yield self._chunk([end])
        yield self._chunk(ends[-1:], self._verdicts(answered))
        if self._wants_usage:
            yield as_event({**self._chunk_head(), "choices": [], "usage": self._usage(answered)})
        yield DONE

    @property
    def _wants_usage(self) -> bool:
        options = self._asked.stream_options
        return options is not None and bool(options.include_usage)

    def _chunk(self, choices: list[dict[str, Any]], more: dict[str, Any] | None = None) -> str:
        usage = {"usage": None} if self._wants_usage else {}
        return as_event({**self._chunk_head(), "choices": choices, **usage, **(more or {})})

    def _chunk_head(self) -> dict[str, Any]:
        return {"object": "chat.completion.chunk", **self._head}

    def _usage(self, answered: Answered) -> dict[str, Any]:
        reply, sizes = answered.reply, self._ready.bot.engine.config.model
        seen = answered.request.conversation.picture is not None and reply.context_tokens > 0
        image = sizes.image_vectors if seen else 0
        written = reply.tokens + sum(other.num_tokens for other in reply.others)
        return {
            "prompt_tokens": reply.context_tokens + image,
            "completion_tokens": written,
            "total_tokens": reply.context_tokens + image + written,
            "prompt_tokens_details": {"image_tokens": image, "cached_tokens": 0},
        }

    def _verdicts(self, answered: Answered) -> dict[str, Any]:
        """Return what the guard said: always in our form, in the protocol's where it is wanted."""
        reply = answered.reply
        told: dict[str, Any] = {
            "openmmb": {
                "origin": reply.origin,
                "seed": reply.seed,
                "seconds": round(reply.seconds, 4),
                "guard": {
                    "message": moderation.describe(reply.message_verdict),
                    "reply": moderation.describe(reply.reply_verdict),
                },
                "left_out": list(answered.left_out),
                "notes": list(answered.notes),
            }
        }
        if self._asked.moderation is not None:
            enabled = bool(self._ready.bot.guard.checks)
            told["moderation"] = {
                "input": moderation.side(reply.message_verdict, enabled=enabled),
                "output": moderation.side(reply.reply_verdict, enabled=enabled),
            }
        return told


def as_event(value: dict[str, Any]) -> str:
    """Return a value as one event of a stream."""
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


def _delta(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
