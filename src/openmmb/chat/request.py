"""What a bot is asked, and what it answers."""

import operator
from dataclasses import dataclass
from typing import Any

from openmmb.chat.conversation import EMPTY, Conversation
from openmmb.chat.strict import name_type, quote, require_short_text, require_text
from openmmb.chat.viewer import ImageSource
from openmmb.engine.generate import Generated
from openmmb.errors import ConfigError, unknown
from openmmb.safety.answers import Origin
from openmmb.safety.verdict import Verdict
from openmmb.search.config import SearchConfig
from openmmb.text.gender import GENDER_TOKENS
from openmmb.text.normalize import tidy

NO_GENDER = "none"
"""The control that asks for none, also where a checkpoint has one of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A message to answer; without one the bot speaks first.

    Attributes:
        text: What the person says; it is put on one line, without anything invisible.
        image: A picture to look at from now on.
        conversation: What was said before.
        seed: Decides the draws of a search that draws, whatever else is asked at the same time.
        gender: Control of this reply, ``none`` for none; None: the bot's.
        search: How this reply is searched for; None: as the bot's others.
        num_replies: How many replies are wanted: those after the first are the reply's ``others``.

    Raises:
        ConfigError: One of them is of another type, the message is too long, the seed is no
            64-bit number, there is no such control, or no reply is wanted.
    """

    text: str = ""
    image: ImageSource | None = None
    conversation: Conversation = EMPTY
    seed: int = 0
    gender: str | None = None
    search: SearchConfig | None = None
    num_replies: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _text(self.text))
        object.__setattr__(self, "conversation", as_conversation(self.conversation))
        object.__setattr__(self, "seed", _seed(self.seed))
        if self.gender is not None:
            find_gender(self.gender)
        search: Any = self.search
        if search is not None and not isinstance(search, SearchConfig):
            raise ConfigError(f"search: expected a SearchConfig, got {name_type(search)}")
        if type(self.num_replies) is not int or self.num_replies < 1:
            raise ConfigError(
                f"num_replies: expected a whole number above 0, got {quote(self.num_replies)}"
            )


@dataclass(frozen=True, slots=True)
class Reply:
    """What the bot says, and how it came to it.

    Attributes:
        text: The reply, on one line; where the person's message was refused, why.
        conversation: With this exchange in it, unless the message was refused.
        seconds: From the request to the reply; of requests that were answered together, the time
            of all.
        tokens: Length of the reply; 0 where it is not the model's.
        seed: Gives the same reply again.
        origin: Where the text is from: the likeliest reply of the ``model``; the ``next_best`` one,
            since the guard refused what was likelier; the program, which ``changed_subject`` since
            no reply was safe, or ``refused`` the message.
        message_verdict: What the guard says of the person's message; None where there was none.
        reply_verdict: What the guard says of the model's likeliest reply; None where the message
            was refused.
        others: Further replies of the model that may be said, the likeliest first, as many as were
            asked for and could be had.
        context_tokens: Length of what the model read, without the picture; 0 where it read nothing.
        finished: False where the reply was cut at the longest length.
    """

    text: str
    conversation: Conversation
    seconds: float
    tokens: int
    seed: int
    origin: Origin
    message_verdict: Verdict | None
    reply_verdict: Verdict | None
    others: tuple[Generated, ...] = ()
    context_tokens: int = 0
    finished: bool = True

    @property
    def refused(self) -> bool:
        """Whether the person's message was unsafe."""
        return self.origin == "refused"


def tidy_entry(text: str, what: str = "message") -> str:
    """Put what a person enters on one line, without anything invisible.

    Raises:
        ConfigError: It is no string, or longer than ``MAX_CHARACTERS``.
    """
    return tidy(require_short_text(what, text))


def as_conversation(given: Any) -> Conversation:
    """Return a conversation; of None, the empty one.

    Raises:
        ConfigError: It is something else; says what was meant, where that is plain.
    """
    if given is None:
        return EMPTY
    if isinstance(given, Conversation):
        return given
    hint = "Conversation(turns=[...])"
    if isinstance(given, Reply):
        hint = "reply.conversation"
    elif isinstance(given, str):
        hint = "Conversation.from_json(text)"
    raise ConfigError(f"conversation: expected a Conversation, got {name_type(given)}; use {hint}")


def find_gender(name: object) -> str | None:
    """Return the control of that name, or None for ``none``.

    Raises:
        ConfigError: There is none of that name.
    """
    known = (*GENDER_TOKENS, NO_GENDER)
    text = require_text("gender", name)
    if text not in known:
        raise ConfigError(f"gender: {unknown('control', text, known)}")
    return None if text == NO_GENDER else text


def _text(given: Any) -> str:
    return "" if given is None else tidy_entry(given)


def _seed(given: Any) -> int:
    try:
        seed = operator.index(given)
    except TypeError:
        raise ConfigError(f"seed: expected a whole number, got {quote(given)}") from None
    if not -(2**63) <= seed < 2**63:
        raise ConfigError(f"seed: expected a number that fits into 64 bits, got {quote(seed)}")
    return seed
