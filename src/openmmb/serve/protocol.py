"""What a client may ask, as OpenAI's protocol has it, and our own fields beside it.

What the protocol has and this server has not is listed too, with the values that ask for nothing:
everything else is refused by name, so that nothing is dropped in silence.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

T = TypeVar("T")
Items = Annotated[list[T], Field(fail_fast=True)]
"""Of a list that is wrong the first fault is told, and no others are looked for."""
Nothing = Annotated[list[Any], Field(max_length=0)] | None
NoKeys = Annotated[dict[str, Any], Field(max_length=0)] | None
Zero = Annotated[float, Field(ge=0, le=0, allow_inf_nan=False)] | None
One = Annotated[float, Field(ge=1, le=1, allow_inf_nan=False)] | None
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Name = Annotated[str, Field(max_length=200)]

UNSUPPORTED = {
    "tools": "tools are not supported",
    "tool_choice": "tools are not supported",
    "tool_calls": "tools are not supported",
    "tool_call_id": "tools are not supported",
    "functions": "functions are not supported",
    "function_call": "functions are not supported",
    "audio": "audio is not supported",
    "modalities": "only text is written; use ['text']",
    "prediction": "predicted outputs are not supported",
    "logprobs": "log probabilities are not supported",
    "top_logprobs": "log probabilities are not supported",
    "logit_bias": "a bias for single tokens is not supported",
    "presence_penalty": "penalties are not supported; use block_ngram",
    "frequency_penalty": "penalties are not supported; use block_ngram",
    "repetition_penalty": "penalties are not supported; use block_ngram",
    "min_p": "min_p is not supported; use top_p or top_k",
    "early_stopping": "a search ends by rules of its own; use max_completion_tokens or beam_size",
    "ignore_eos": "a reply ends where the model ends it; use min_tokens",
    "response_format": "only text is written; use {'type': 'text'}",
    "web_search_options": "web search is not supported",
    "reasoning_effort": "the model does not reason",
    "verbosity": "the model knows no verbosity; use min_tokens and max_completion_tokens",
    "store": "nothing is stored",
    "metadata": "nothing is stored, so there is nothing that metadata could be attached to",
    "service_tier": "there are no tiers; use 'auto'",
    "prompt_cache_options": "prompts are not cached",
    "prompt_cache_retention": "prompts are not cached",
    "name": "names of speakers are not supported",
    "input_audio": "audio is not supported",
    "file": "files are not supported; a picture is sent as a data URI in an image_url",
    "video_url": "videos are not supported",
}
"""Field or kind of content -> what a request with it is told."""


class Strict(BaseModel):
    """Takes each field as what it is, and no other."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TextPart(Strict):
    """Words."""

    type: Literal["text"]
    text: str


class ImageUrl(Strict):
    """Where a picture is: in the request itself."""

    url: str = Field(description="A data URI: data:image/png;base64,...")
    detail: Literal["auto", "low", "high", "original"] | None = Field(
        default=None, description="Changes nothing: the model sees every picture in the same size."
    )


class ImagePart(Strict):
    """A picture."""

    type: Literal["image_url"]
    image_url: ImageUrl


class RefusalPart(Strict):
    """What an earlier request was told in place of a reply."""

    type: Literal["refusal"]
    refusal: str


def _form_of(value: Any) -> str | None:
    return "<text>" if isinstance(value, str) else "<parts>" if isinstance(value, list) else None


def _kind_of(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if kind in ("text", "image_url", "refusal") else None


def _moderated_kind_of(value: Any) -> str | None:
    return "<text>" if isinstance(value, str) else "<part>" if _kind_of(value) == "<text>" else None


def _role_of(value: Any) -> str | None:
    role = value.get("role") if isinstance(value, dict) else getattr(value, "role", None)
    return f"<{role}>" if role in ("system", "developer", "user", "assistant") else None


def _by(variant_of: Callable[[Any], str | None], kind: str, expected: str) -> Discriminator:
    """Tell what a value is by what it says itself, and what was expected where it says nothing."""
    message = f"expected {expected}"
    return Discriminator(variant_of, custom_error_type=kind, custom_error_message=message)


Content = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[Items[T], Tag("<parts>")],
    _by(_form_of, "content", "a string or a list of content parts"),
]
"""Words, or parts of which some are words."""
UserPart = Annotated[
    Annotated[TextPart, Tag("<text>")] | Annotated[ImagePart, Tag("<image_url>")],
    _by(_kind_of, "part", "the type 'text' or 'image_url'"),
]
AssistantPart = Annotated[
    Annotated[TextPart, Tag("<text>")] | Annotated[RefusalPart, Tag("<refusal>")],
    _by(_kind_of, "part", "the type 'text' or 'refusal'"),
]
ModeratedPart = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[TextPart, Tag("<part>")],
    _by(_moderated_kind_of, "part", "a string or a content part of the type 'text'"),
]


class SystemMessage(Strict):
    """Who the bot is: each line is a line of its persona."""

    role: Literal["system", "developer"]
    content: Content[TextPart]


class UserMessage(Strict):
    """What the person says and shows."""

    role: Literal["user"]
    content: Content[UserPart]


class AssistantMessage(Strict):
    """What the bot said."""

    role: Literal["assistant"]
    content: Content[AssistantPart] | None = None
    refusal: str | None = None
    tool_calls: Nothing = None
    function_call: None = None
    audio: None = None


Message = Annotated[
    Annotated[SystemMessage, Tag("<system>")]
    | Annotated[SystemMessage, Tag("<developer>")]
    | Annotated[UserMessage, Tag("<user>")]
    | Annotated[AssistantMessage, Tag("<assistant>")],
    _by(_role_of, "role", "a message with the role 'system', 'developer', 'user' or 'assistant'"),
]


class StreamOptions(Strict):
    """How a stream is written."""

    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


class ModerationMode(Strict):
    """Whether a side is only scored; this server's guard blocks in either mode."""

    mode: Literal["score", "block"]


class ModerationPolicy(Strict):
    """What is moderated."""

    input: ModerationMode | None = None
    output: ModerationMode | None = None


class Moderation(Strict):
    """Asks for the guard's verdicts in the protocol's own form."""

    model: Name
    policy: ModerationPolicy | None = None


class ResponseFormat(Strict):
    """What is written."""

    type: Literal["text"]


class ChatRequest(Strict):
    """A conversation that the model is to go on with."""

    messages: Items[Message] = Field(min_length=1)
    model: Name | None = Field(
        default=None, description="As /v1/models names it; by default, that one."
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None,
        description="How many replies, the likeliest first; fewer where fewer may be said.",
    )
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = Field(
        default=None, description="Gives the same reply to the same request; by default any."
    )
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Share | None = None
    moderation: Moderation | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None

    # What vLLM's clients send through extra_body.
    use_beam_search: bool | None = None
    best_of: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    length_penalty: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] | None = None
    min_tokens: Count | None = None
    top_k: Annotated[int, Field(ge=-1, le=2**31 - 1)] | None = None

    # Ours.
    style: Name | None = Field(default=None, description="How the bot talks; 'none' for no style.")
    persona: str | Annotated[list[str], Field(max_length=64)] | None = Field(
        default=None, description="Lines about who the bot is, after those of system messages."
    )
    gender: Literal["none", "f0m0", "f0m1", "f1m0", "f1m1"] | None = Field(
        default=None, description="Control of the reply: which gendered words it has."
    )
    beam_size: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    block_ngram: Annotated[int, Field(ge=0, le=100)] | None = None
    block_context_ngram: Annotated[int, Field(ge=0, le=100)] | None = None

    # What the protocol has and this server has not.
    tools: Nothing = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    functions: Nothing = None
    function_call: Literal["none", "auto"] | None = None
    audio: None = None
    modalities: list[Literal["text"]] | None = None
    prediction: None = None
    logprobs: Literal[False] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=0)] | None = None
    logit_bias: NoKeys = None
    presence_penalty: Zero = None
    frequency_penalty: Zero = None
    repetition_penalty: One = None
    min_p: Zero = None
    early_stopping: Literal[False] | None = None
    ignore_eos: Literal[False] | None = None
    response_format: ResponseFormat | None = None
    web_search_options: None = None
    reasoning_effort: Literal["none"] | None = None
    verbosity: Literal["medium"] | None = None
    store: Literal[False] | None = None
    metadata: NoKeys = None
    service_tier: Literal["auto", "default"] | None = None
    prompt_cache_options: None = None
    prompt_cache_retention: None = None


class ModerationRequest(Strict):
    """Texts that the guard is to judge, each as if it opened a conversation."""

    input: Content[ModeratedPart] = Field(description="A text, or a list of them.")
    model: Name | None = None
