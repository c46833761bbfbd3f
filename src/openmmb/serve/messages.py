"""From the messages of a request to what a bot is asked.

A conversation lives in the request alone: the server keeps none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from openmmb.chat.conversation import Speaker
from openmmb.errors import shorten
from openmmb.serve.config import ServeConfig
from openmmb.serve.failures import RequestFailure
from openmmb.serve.protocol import (
    AssistantMessage,
    ChatRequest,
    ImagePart,
    Message,
    SystemMessage,
    TextPart,
    UserMessage,
)
from openmmb.vision.data_uri import is_data_uri

MAX_PERSONA = 64
"""Most lines of a persona."""
TOTAL = 8
"""All texts of a conversation together may be this many times as long as one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A turn or a line of a persona, and where in the request it stands."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class PictureUri:
    """A picture as a data URI, and where in the request it stands."""

    field: str
    uri: str


@dataclass(frozen=True, slots=True)
class PastTurn:
    """A turn before the last message.

    Attributes:
        message: Number of the message in the request.
        speaker: Who said it.
        text: What was said.
    """

    message: int
    speaker: Speaker
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks of the bot.

    Attributes:
        persona: Lines about who the bot is.
        style: How it talks; None: as the server says.
        turns: What was said before, oldest first.
        text: What the person says last; empty: the bot speaks.
        picture: The newest picture, and where in the request it stands.
        num_pictures: How many there are in all messages.
    """

    persona: tuple[Line, ...]
    style: str | None
    turns: tuple[PastTurn, ...]
    text: str
    picture: PictureUri | None
    num_pictures: int


def read_messages(request: ChatRequest, limits: ServeConfig) -> Asked:
    """Take the messages of a request apart.

    Raises:
        RequestFailure: There are too many, a text is too long, the last is none of the person's, or
            a picture is no data URI or too large.
    """
    messages = request.messages
    if len(messages) > limits.max_turns:
        raise _wrong("messages", f"expected at most {limits.max_turns}, got {len(messages)}")
    persona: list[Line] = []
    turns: list[PastTurn] = []
    pictures: list[PictureUri] = []
    for at, message in enumerate(messages):
        text = "\n".join(_texts(message))
        if len(text) > limits.max_characters:
            raise _too_long(f"messages.{at}.content", limits)
        if isinstance(message, SystemMessage):
            persona += [Line(f"messages.{at}.content", line) for line in _lines(text)]
            continue
        speaker: Speaker = "person" if isinstance(message, UserMessage) else "bot"
        if isinstance(message, UserMessage):
            pictures += _pictures(f"messages.{at}.content", message)
        if text.strip():
            turns.append(PastTurn(at, speaker, text))
    persona += _own_persona(request, limits)
    _check_total(persona, turns, limits)
    last = messages[-1]
    if isinstance(last, AssistantMessage):
        raise _wrong(
            f"messages.{len(messages) - 1}.role",
            "expected the last message to be the user's; the model does not go on with its own",
        )
    answers = bool(turns) and turns[-1].message == len(messages) - 1
    return Asked(
        persona=tuple(persona),
        style=request.style,
        turns=tuple(turns[:-1] if answers else turns),
        text=turns[-1].text if answers else "",
        picture=pictures[-1] if pictures else None,
        num_pictures=len(pictures),
    )


def _texts(message: Message) -> Iterator[str]:
    content = message.content
    if isinstance(content, str):
        yield content
    elif content is not None:
        for piece in content:
            if isinstance(piece, TextPart):
                yield piece.text
            elif not isinstance(piece, ImagePart):
                yield piece.refusal
    elif isinstance(message, AssistantMessage) and message.refusal is not None:
        yield message.refusal


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _own_persona(request: ChatRequest, limits: ServeConfig) -> list[Line]:
    given = request.persona
    if given is None:
        return []
    lines = _lines(given) if isinstance(given, str) else given
    for at, line in enumerate(lines):
        if len(line) > limits.max_characters:
            raise _too_long("persona" if isinstance(given, str) else f"persona.{at}", limits)
    if isinstance(given, str):
        return [Line("persona", line) for line in lines]
    return [Line(f"persona.{at}", line) for at, line in enumerate(lines) if line.strip()]


def _check_total(persona: Sequence[Line], turns: Sequence[PastTurn], limits: ServeConfig) -> None:
    """Refuse what would take long to judge, though each text alone would not."""
    if len(persona) > MAX_PERSONA:
        field = persona[MAX_PERSONA].field
        raise _wrong(field, f"expected at most {MAX_PERSONA} lines of a persona in all")
    total = sum(len(line.text) for line in persona) + sum(len(turn.text) for turn in turns)
    most = TOTAL * limits.max_characters
    if total > most:
        raise _wrong("messages", f"expected at most {most} characters in all, got {total}")


def _pictures(field: str, message: UserMessage) -> Iterator[PictureUri]:
    """Yield each picture of a message, all of which must be data URIs."""
    if isinstance(message.content, str):
        return
    for at, piece in enumerate(message.content):
        if isinstance(piece, ImagePart):
            where, url = f"{field}.{at}.image_url.url", piece.image_url.url
            if not is_data_uri(url):
                raise _wrong(
                    where,
                    "expected a picture as a data URI (data:image/png;base64,...); no URL and no "
                    f"file is ever fetched, got {shorten(repr(url[:80]))}",
                )
            yield PictureUri(where, url)


def _too_long(field: str, limits: ServeConfig) -> RequestFailure:
    return _wrong(field, f"expected at most {limits.max_characters} characters")


def _wrong(field: str, message: str) -> RequestFailure:
    return RequestFailure(f"{field}: {message}", param=field, code="invalid_value")
