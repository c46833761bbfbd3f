"""What a client gets, for the OpenAPI document; the responses themselves are plain dictionaries."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Finish = Literal["stop", "length", "content_filter"]


class Open(BaseModel):
    """Has these fields at least."""

    model_config = ConfigDict(extra="allow")


class Error(Open):
    """What was wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(Open):
    """Every error."""

    error: Error


class Health(Open):
    """Whether the model is there."""

    status: Literal["ok"]


class ModelCard(Open):
    """A model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    architecture: dict[str, list[str]]
    context_length: int


class Models(Open):
    """All models: one."""

    object: Literal["list"]
    data: list[ModelCard]


class Properties(Open):
    """What a server says of itself."""

    model: str
    model_card: str
    modalities: dict[str, bool]
    styles: list[str]
    genders: list[str]
    defaults: dict[str, Any]
    limits: dict[str, Any]
    guard: bool


class AssistantReply(Open):
    """A reply."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None


class CompletionChoice(Open):
    """One of several replies."""

    index: int
    message: AssistantReply
    finish_reason: Finish
    logprobs: None


class Usage(Open):
    """Lengths in tokens; image vectors count as tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int]


class Extension(Open):
    """What the protocol has no field for."""

    origin: Literal["model", "next_best", "changed_subject", "refused"]
    seed: int
    seconds: float
    guard: dict[str, Any]
    left_out: list[int]
    notes: list[str]


class ChatCompletion(Open):
    """A reply and all that is known of it; with ``stream``, events of chunks of it."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage
    openmmb: Extension


class ModerationResult(Open):
    """What the guard makes of a text."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]]


class Moderations(Open):
    """What the guard makes of texts."""

    id: str
    model: str
    results: list[ModerationResult]
