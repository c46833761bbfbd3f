"""A conversation as a value: each thing that is said makes a new one.

Nothing that talks keeps a conversation of its own, so any number of them can share a bot, and
going back to an earlier one is keeping it.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor

Speaker = Literal["person", "bot"]
NO_STYLE = "none"
"""The style that asks for none, also where a checkpoint has one of its own for pictures."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that was said."""

    speaker: Speaker
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as the model sees it.

    Attributes:
        name: For people.
        vectors: (I, F) image vectors.
    """

    name: str
    vectors: Tensor = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said so far and what frames it.

    Attributes:
        turns: Oldest first.
        persona: Lines that say who the bot is.
        style: How the bot talks, ``NO_STYLE`` for none; None leaves it to the checkpoint.
        picture: What is being looked at, shown to the model at every turn.
    """

    turns: tuple[Turn, ...] = ()
    persona: tuple[str, ...] = ()
    style: str | None = None
    picture: Picture | None = None

    def said(self, speaker: Speaker, text: str) -> "Conversation":
        """Return the conversation with one turn more."""
        return replace(self, turns=(*self.turns, Turn(speaker, text)))

    def texts(self) -> tuple[str, ...]:
        """Return what was said, without who said it: all that the model reads."""
        return tuple(turn.text for turn in self.turns)

    def to_json(self) -> str:
        """Write it for a file; of the picture, its name."""
        return json.dumps(
            {
                "style": self.style,
                "persona": list(self.persona),
                "picture": None if self.picture is None else self.picture.name,
                "turns": [{"speaker": turn.speaker, "text": turn.text} for turn in self.turns],
            },
            ensure_ascii=False,
            indent=2,
        )


EMPTY = Conversation()
"""Before anything is said."""
