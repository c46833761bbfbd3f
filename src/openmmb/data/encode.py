"""Examples as token ids.

A context reads, from the left: the style, the persona's lines, the turns so far, the gender
control, the end token. A newline ends the style and each line of the persona and stands between
turns. ParlAI's order is the same; there style, persona and control are ordinary text, here special
tokens mark them, which no text can contain.

When a context is too long, the oldest turns go; style, persona and control stay (ParlAI cuts the
left end, so the persona goes first).

The layouts ``parlai`` and ``parlai_flat`` are ParlAI's own, for its models. Each line of the
persona begins with ``your persona: ``, and the persona is one text. ``parlai`` is how its agents
talk: each text is encoded on its own, with the delimiter's tokens between. ``parlai_flat`` is how
Multi-Modal BlenderBot's training data was made: all of them are one text, which is encoded as one,
so a newline between turns is one token there and two in ``parlai``.

The layout ``turns`` is that of decoder-only networks: see ``data/turns.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from openmmb.config import config
from openmmb.data.example import Example
from openmmb.data.turns import begin_reply, encode_replies, encode_turns
from openmmb.text.tokenizer import PERSONA, STYLE, Tokenizer

Layout = Literal["openmmb", "turns", "parlai", "parlai_flat"]


@config
class EncodeConfig:
    """How words become ids.

    Raises:
        ValueError: A value is out of its range, or two do not fit each other.
    """

    RETIRED: ClassVar[dict[str, object]] = {"parse_controls": False}
    """Keys of earlier versions, each with the value with which a file may still have it."""

    layout: Layout = "openmmb"
    """Layout of contexts: `openmmb`, `turns` for decoder-only networks, or one of ParlAI's for
    models that come from there."""
    max_context: int = 128
    """Largest number of tokens of a context, end token included."""
    max_pinned: int = 64
    """Largest number of these that style and persona may take; not in ParlAI's layouts."""
    max_reply: int = 128
    """Largest number of tokens of a reply, end token included; a longer one is cut on the
    right."""
    object_words: int = 0
    """Largest number of names in a context of what the picture encoder recognises; only in the
    layout `turns`, and only for encoders that name things."""
    object_threshold: float = 0.08
    """Smallest probability of a name that is put there."""
    delimiter: str = "\n"
    """Text between turns."""
    end_context: bool = True
    """Put the end token after a context. Only ParlAI's layouts can leave it out."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_pinned <= self.max_context - 2:
            raise ValueError(
                f"max_pinned ({self.max_pinned}) must leave 2 tokens of max_context "
                f"({self.max_context})"
            )
        if self.max_reply < 1:
            raise ValueError(f"max_reply must be at least 1, got {self.max_reply}")
        if self.object_words < 0 or (self.object_words and self.layout != "turns"):
            raise ValueError(
                f"object_words is {self.object_words} in the layout {self.layout!r}; expected 0, "
                "or a number above it in the layout 'turns'"
            )
        if not 0 <= self.object_threshold <= 1:
            raise ValueError(f"object_threshold must be from 0 to 1, got {self.object_threshold}")
        if self.layout in ("openmmb", "turns") and not self.end_context:
            raise ValueError(
                f"end_context is false, but the layout {self.layout!r} has it; use 'parlai'"
            )


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as ids.

    Attributes:
        context: Ends with the end token.
        reply: Ends with the end token unless it was cut.
        image_id: Picture whose vectors belong to it.
        targets: For each token of the reply, whether it is to be predicted; empty: all are.
        blocks: For each token of the reply, which of several replies to the same context it is a
            token of; empty: there is one.
    """

    context: tuple[int, ...]
    reply: tuple[int, ...]
    image_id: str | None = None
    targets: tuple[bool, ...] = ()
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a search for a reply begins with.

    Attributes:
        context: What is read.
        start_id: The token before the reply.
    """

    context: tuple[int, ...]
    start_id: int


def encode_context(example: Example, tokenizer: Tokenizer, config: EncodeConfig) -> list[int]:
    """Turn everything that comes before a reply into at most ``max_context`` ids."""
    if config.layout == "turns":
        return encode_turns(
            example, tokenizer, max_context=config.max_context, max_pinned=config.max_pinned
        )
    if config.layout != "openmmb":
        return _parlai_context(example, tokenizer, config)[-config.max_context :]
    delimiter = tokenizer.encode(config.delimiter)
    pinned: list[int] = []
    if example.style is not None:
        pinned += [tokenizer.special_id(STYLE), *tokenizer.encode(example.style), *delimiter]
    for line in example.persona:
        pinned += [tokenizer.special_id(PERSONA), *tokenizer.encode(line), *delimiter]
    pinned = pinned[: config.max_pinned]
    control = [] if example.gender is None else [tokenizer.special_id(example.gender)]
    space = config.max_context - len(pinned) - len(control) - 1
    turns = _last_tokens(example.context, space, tokenizer, delimiter)
    return [*pinned, *turns, *control, tokenizer.end_id]


def encode_reply(turns: Sequence[str], tokenizer: Tokenizer, config: EncodeConfig) -> list[int]:
    """Turn a reply, and what was said after it if it counts too, into ids, each turn ended."""
    ids: list[int] = []
    for turn in turns:
        if len(ids) >= config.max_reply:
            break
        ids += [*tokenizer.encode(turn), tokenizer.end_id]
    return ids[: config.max_reply]


def encode(example: Example, tokenizer: Tokenizer, config: EncodeConfig) -> Encoded:
    """Turn an example into ids."""
    context = tuple(encode_context(example, tokenizer, config))
    if config.layout == "turns":
        replies = encode_replies(example, tokenizer, max_reply=config.max_reply)
        return Encoded(context, replies.ids, example.image_id, replies.targets, replies.blocks)
    return Encoded(
        context=context,
        reply=tuple(encode_reply((example.reply, *example.following), tokenizer, config)),
        image_id=example.image_id,
    )


def choose_objects(
    recognised: Sequence[tuple[str, float]], config: EncodeConfig
) -> tuple[str, ...]:
    """Choose which names stand in a context.

    Args:
        recognised: Names and their probabilities, likeliest first.
        config: How many, and how likely they must be.
    """
    likely = [name for name, chance in recognised if chance >= config.object_threshold]
    return tuple(likely[: config.object_words])


def encode_prompt(example: Example, tokenizer: Tokenizer, config: EncodeConfig) -> Prompt:
    """Turn what comes before the reply to an example into what a search begins with."""
    context = encode_context(example, tokenizer, config)
    if config.layout != "turns":
        return Prompt(tuple(context), tokenizer.start_id)
    *before, last = begin_reply(example, tokenizer)
    return Prompt((*context, *before), last)


def encode_found(
    example: Example, tokens: Sequence[int], tokenizer: Tokenizer, config: EncodeConfig
) -> Encoded:
    """Turn an example and a reply that a search found for it, without end token, into ids."""
    context = tuple(encode_context(example, tokenizer, config))
    begin = begin_reply(example, tokenizer)[1:] if config.layout == "turns" else []
    targets = (*(False for _ in begin), *(True for _ in tokens), True)
    reply = (*begin, *tokens, tokenizer.end_id)
    return Encoded(context, reply, example.image_id, targets=targets)


def _parlai_context(example: Example, tokenizer: Tokenizer, config: EncodeConfig) -> list[int]:
    """Return the whole context; where nothing at all was said or is asked for, it has no token.

    A style that is there is the first text: ParlAI's users send it as a message of its own.
    """
    persona = "\n".join(f"your persona: {line}" for line in example.persona)
    frame = [text for text in (example.style, persona) if text]
    control = [] if example.gender is None else tokenizer.control_ids(example.gender)
    if config.layout == "parlai_flat":
        ids = tokenizer.encode(_flatten(frame, example.context, config.delimiter))
    else:
        ids = []
        delimiter = tokenizer.encode(config.delimiter)
        for index, text in enumerate((*frame, *example.context)):
            ids += [*(delimiter if index else ()), *tokenizer.encode(text)]
    ids += control
    return [*ids, tokenizer.end_id] if ids and config.end_context else ids


def _flatten(frame: Sequence[str], turns: Sequence[str], delimiter: str) -> str:
    """Style and persona are lines of the first turn, whatever stands between turns."""
    first = "\n".join((*frame, *turns[:1]))
    return delimiter.join((first, *turns[1:]))


def _last_tokens(
    turns: Sequence[str], space: int, tokenizer: Tokenizer, delimiter: list[int]
) -> list[int]:
    """Return the last ``space`` tokens of the turns; turns that cannot reach it are not encoded."""
    ids: list[int] = []
    for turn in reversed(turns):
        if len(ids) >= space:
            break
        ids = [*tokenizer.encode(turn), *(delimiter if ids else ()), *ids]
    return ids[max(0, len(ids) - space) :]
