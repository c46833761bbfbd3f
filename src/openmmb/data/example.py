"""What a data set yields: who said what about which picture, in words.

An example is one reply with all that came before it; nothing about it lives anywhere else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True, slots=True)
class Example:
    """One reply in its context.

    Attributes:
        context: What was said, oldest turn first; empty when the reply opens the conversation.
        reply: What to say.
        task: Name of the data set.
        conversation: Identifies the conversation within its task; examples of one conversation
            share it, so a hold-out by conversation never splits one.
        image_id: Picture that is being looked at.
        following: Turns that came after the reply. Empty unless a model is to write on from its
            reply, which teaches several turns at the price of one context.
        references: Other replies that are as good (the other captions of a picture).
        persona: Lines that say who the speaker of the reply is.
        style: Trait or polarity that the reply has.
        gender: Which gendered words the reply has, ``f0m0`` to ``f1m1``.
    """

    context: tuple[str, ...]
    reply: str
    task: str
    conversation: str
    image_id: str | None = None
    following: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    persona: tuple[str, ...] = ()
    style: str | None = None
    gender: str | None = None


class Task(Protocol):
    """A data set on disk."""

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield the examples of ``split`` in the order of the files.

        Raises:
            DataError: A file is missing or malformed.
        """
        ...
