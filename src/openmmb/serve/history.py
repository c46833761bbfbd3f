"""What frames a reply and comes with the request, judged before it does.

A client sends the whole conversation each time. A turn that the guard refuses is left out of what
the model reads, with the answer to it, as it would have been where it was said; a line of a
persona or a style that it refuses is an error.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from openmmb.chat.bot import Bot
from openmmb.chat.conversation import Conversation, Turn
from openmmb.chat.request import tidy_entry
from openmmb.errors import ConfigError
from openmmb.serve.failures import RequestFailure
from openmmb.serve.messages import Asked

_LINE = re.compile(r"persona\.(\d+)")


@dataclass(frozen=True, slots=True)
class Admitted:
    """What of a request frames its reply.

    Attributes:
        conversation: Without the last message, and without a picture.
        left_out: Numbers of the messages that are not in it.
    """

    conversation: Conversation
    left_out: tuple[int, ...]


def admit_history(asked: Asked, bot: Bot, frame: Conversation) -> Admitted:
    """Return what may frame the reply to a request.

    Args:
        asked: The request's messages.
        bot: Whose guard judges; what it said or judged itself it knows.
        frame: Persona and style where the request names none.

    Raises:
        RequestFailure: A line of the persona or the style is refused.
    """
    turns = tuple(Turn(turn.speaker, tidy_entry(turn.text)) for turn in asked.turns)
    given = Conversation(
        turns=turns,
        persona=tuple(line.text for line in asked.persona) or frame.persona,
        style=frame.style if asked.style is None else asked.style or None,
    )
    try:
        kept = bot.admit_conversation(given, leave_out_refused=True)
    except ConfigError as error:
        raise _named(error, asked) from None
    dropped = _missing(turns, kept.turns)
    return Admitted(kept, tuple(asked.turns[at].message for at in dropped))


def _named(error: ConfigError, asked: Asked) -> RequestFailure:
    """Return what is wrong with a conversation, under the name of the request's field."""
    key, _, message = str(error).partition(": ")
    line = _LINE.fullmatch(key)
    field = "style" if line is None else asked.persona[int(line[1])].field
    return RequestFailure(f"{field}: {message}", param=field, code="content_filter")


def _missing(given: Sequence[Turn], kept: Sequence[Turn]) -> list[int]:
    """Return which of the given turns are not among those that were kept, in the same order."""
    missing, at = [], 0
    for index, turn in enumerate(given):
        if at < len(kept) and kept[at] == turn:
            at += 1
        else:
            missing.append(index)
    return missing
